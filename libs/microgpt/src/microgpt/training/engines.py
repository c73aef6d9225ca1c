"""Common interface of the engines: compiled and reference.

Both engines give the same losses, weights and random numbers, up to rounding; the tests and
`microgpt verify` check this. The reference engine imports neither numpy nor numba.
"""

import random
from collections.abc import Callable, Collection, Sequence
from functools import partial
from time import perf_counter
from typing import Protocol

from microgpt.config import (
    DEFAULT_DTYPE,
    DType,
    EngineName,
    ModelConfig,
    TrainConfig,
    Use,
    check_choice,
    check_threads,
)
from microgpt.data.token_dataset import TokenDataset
from microgpt.edited_sources import check_unedited
from microgpt.errors import ConfigError
from microgpt.evaluation.held_out_loss import Nll, scalar_nll
from microgpt.flat_weights import Numbers, by_name
from microgpt.model_config import count_params
from microgpt.model_variants import gpt_type, init_variant
from microgpt.resource_limits import check_memory
from microgpt.state import TrainingPlan, TrainState
from microgpt.training.reference_training import ReferenceTraining

TRAINING: tuple[Use, ...] = ("training",)
BYTES_PER_WEIGHT = 200  # with its gradient, its moments, and copies as Python floats
BYTES_PER_PRODUCT = 32  # the reference engine stores both operands and gradients


class Engine(Protocol):
    """A model being trained, with its training documents and optimizer state."""

    @property
    def n_steps(self) -> int:
        """The number of optimizer steps so far."""

    def run(self, until: int) -> list[float]:
        """Train for a short time, at most to step `until`, and return the losses of the new steps.

        If the last loss is NaN, that step had a non-finite loss or gradient and was not applied.
        """

    def backward(self, should_stop: Callable[[], bool]) -> float:
        """Return the loss of the next batch without an update, or NaN if any value is not finite.

        If should_stop returns true, return the loss of the documents read so far (at least one).
        """

    def undo(self) -> None:
        """Undo the last optimizer step."""

    def set_weights(self, numbers: Sequence[float]) -> None:
        """Set the initial weights from flat numbers in the order of `weight_shapes`."""

    def resume(self, step: int, weights: Numbers, adam_m: Numbers, adam_v: Numbers) -> None:
        """Restore the step, weights and Adam moments of a checkpoint."""

    def flat_weights(self) -> Numbers:
        """Return a flat copy of the weights in the order of `weight_shapes`."""

    def numbers(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return copies of the weights and of the Adam moments m and v."""


def check_engine(engine: str, dtype: str | None, threads: int = 1) -> None:
    """Raise ConfigError unless the engine exists and supports these settings."""
    check_choice("engine", engine, EngineName)
    if dtype is not None:
        check_choice("dtype", dtype, DType)
    if (engine, dtype) == ("reference", "float32"):
        raise ConfigError("the reference engine supports only float64; omit dtype or the engine")
    check_threads(threads)
    if engine == "reference" and threads > 1:
        raise ConfigError("the reference engine supports only one thread; omit threads")


def check_resume(resume: TrainState, plan: TrainingPlan) -> None:
    """Raise ConfigError unless a checkpoint can belong to a plan."""
    check_engine(plan.engine, resume.dtype)
    if resume.dtype != plan.dtype:
        raise ConfigError(
            f"the checkpoint to resume has dtype {resume.dtype}, not {plan.dtype}; omit dtype"
        )
    sizes = {len(numbers) for numbers in (resume.weights, resume.adam_m, resume.adam_v)}
    if sizes != {count_params(plan.model)}:
        raise ConfigError(
            "the checkpoint to resume has a different model shape; "
            "use the same shape as the checkpoint"
        )
    if resume.trained_on and resume.trained_on != (plan.data, *plan.ancestor_data):
        raise ConfigError(
            "the checkpoint to resume belongs to different documents, a different "
            "split, or a different parent or teachers; pass the original ones"
        )
    if resume.step > plan.config.steps:
        raise ConfigError(
            f"steps must be >= {resume.step}, the step of the checkpoint, got {plan.config.steps}; "
            "it is the total number of steps"
        )


def prepare_engine(
    engine: EngineName,
    *dtypes: DType,
    uses: Collection[Use] = TRAINING,
    tell: Callable[[str], None] = lambda line: None,
) -> float:
    """Load the kernels of an engine. If some are not cached, all of that dtype are compiled.

    Before compiling, `tell` is called with a message for the user. Return the seconds that the
    compilation took, or 0 if there was none.

    Raises:
        ConfigError: the compiled engine does not implement the sources, which have been edited.
    """
    if engine == "reference":
        return 0.0
    check_unedited()
    from microgpt_engine.preparation import prepare

    started, lines = perf_counter(), list[str]()

    def note(line: str) -> None:
        lines.append(line)
        tell(line)

    if uses:
        prepare(dtypes or (DEFAULT_DTYPE[engine],), uses, note)
    return perf_counter() - started if lines else 0.0


def make_engine(
    engine: EngineName,
    dtype: DType,
    model: ModelConfig,
    config: TrainConfig,
    docs: TokenDataset,
    rng: random.Random,
    *,
    resume: TrainState | None = None,
    threads: int = 1,
) -> Engine:
    """Return an engine with random weights, or with the weights of a checkpoint.

    Random weights are drawn from rng even if a checkpoint replaces them, so that rng ends in the
    same state in both cases.

    Args:
        docs: documents of 2 to block_size + 1 tokens, in training order; repeated cyclically.
        resume: checkpoint to continue from, if any.

    Raises:
        ConfigError: there is not enough memory, or the sources of the reference engine have been
            edited, so that the compiled one does not implement them.
    """
    check_memory(_n_bytes(engine, model, docs.longest - 1), "training this model")
    made: Engine
    if engine == "compiled":
        check_unedited()
        from microgpt_engine.training.threaded_step import ThreadedEngine, useful_threads
        from microgpt_engine.training.trainer import CompiledEngine
        from microgpt_engine.weights import initial_weights

        n_tokens = config.batch_size * (len(docs.tokens) / len(docs) - 1)
        threads = useful_threads(model, config, n_tokens, threads)
        compiled = (
            CompiledEngine(model, config, docs, dtype=dtype)
            if threads == 1
            else ThreadedEngine(model, config, docs, dtype=dtype, threads=threads)
        )
        compiled.set_weights(initial_weights(model, rng))
        made = compiled
    else:
        made = ReferenceTraining(model, config, init_variant(model, rng), docs)
    if resume:
        made.resume(resume.step, resume.weights, resume.adam_m, resume.adam_v)
    return made


def _n_bytes(engine: EngineName, model: ModelConfig, longest: int) -> int:
    """Return about how many bytes one thread needs for documents of up to `longest` predictions."""
    n_params, C = count_params(model), model.n_embd
    if engine == "reference":
        return n_params * (BYTES_PER_WEIGHT + longest * BYTES_PER_PRODUCT)
    per_layer = (6 + model.n_ff_exp) * C + model.n_head * longest / 2
    per_token = 8 * C + model.vocab_size + model.n_layer * per_layer
    n_rotary = 0 if model.n_positions else C * model.block_size  # numbers of its tables
    return BYTES_PER_WEIGHT * (n_params + n_rotary) + round(8 * longest * per_token)


def make_nll(
    engine: EngineName, dtype: DType, model: ModelConfig, weights: Numbers, *, threads: int = 1
) -> Nll:
    """Return a function that computes the negative log-likelihood of documents."""
    if engine == "compiled":
        from microgpt_engine.compiled_model import CompiledModel

        compiled = CompiledModel(model, weights, dtype)
        return partial(compiled.nll, threads=threads)
    return partial(scalar_nll, gpt_type(model)(model, by_name(model, weights.tolist())))
