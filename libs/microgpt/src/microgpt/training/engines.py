"""What an engine is, and the choice of one: compiled, a plug-in, or the reference engine.

Both engines give the same losses, weights and random numbers, up to rounding; the tests and
`microgpt verify` check this. The reference engine imports neither numpy nor numba.
"""

import random
import warnings
from collections.abc import Collection, Iterable, Sequence
from time import perf_counter
from typing import Protocol, cast

from microgpt import reference_engine
from microgpt.compilation import EngineWarning, Tell
from microgpt.config import (
    DEFAULT_DTYPE,
    MAX_THREADS,
    DType,
    EngineName,
    ModelConfig,
    TrainConfig,
    Use,
    checked,
)
from microgpt.data.token_dataset import TokenDataset
from microgpt.edited_sources import edit_missing_in
from microgpt.errors import ConfigError
from microgpt.flat_weights import Numbers, count_params
from microgpt.model import Weights
from microgpt.plugins import find_plugins, plugin
from microgpt.reference_engine import ReferenceBatch, ReferenceModel
from microgpt.resource_limits import check_memory
from microgpt.state import TrainingPlan, TrainState
from microgpt.training.reference_training import ReferenceTraining

TRAINING: tuple[Use, ...] = ("training",)
# The classes of another engine have the methods of those of the reference engine.
Engine = ReferenceTraining
EngineModel = ReferenceModel
EngineBatch = ReferenceBatch


class EngineModule(Protocol):
    """An engine: `microgpt.reference_engine`, or a plug-in of the group `engines`."""

    def prepare(self, dtypes: Iterable[DType], uses: Collection[Use], tell: Tell) -> None:
        """Load what some uses need; call `tell` with a message before a slow compilation."""

    def n_bytes(self, model: ModelConfig, longest: int) -> int:
        """Return about how many bytes a thread needs to train on up to `longest` predictions."""

    def make_engine(
        self,
        model: ModelConfig,
        config: TrainConfig,
        docs: TokenDataset,
        rng: random.Random,
        dtype: DType,
        threads: int,
    ) -> Engine:
        """Return an engine with the weights that `init_variant` draws from rng."""

    def make_model(
        self, config: ModelConfig, weights: Weights[float] | Numbers, dtype: DType
    ) -> EngineModel:
        """Return a trained model."""

    def shuffled(self, n: int, rng: random.Random, n_first: int) -> Sequence[int]:
        """Shuffle range(n) like `rng.shuffle` and return the first n_first numbers."""


def engine_module(name: str) -> EngineModule:
    """Return an engine; see `check_usable` for the errors."""
    check_usable(name)
    return reference_engine if name == "reference" else cast(EngineModule, plugin("engines", name))


def check_usable(name: str) -> None:
    """Raise ConfigError if an engine is not installed, or if the sources have been edited."""
    if problem := problem_of(name):
        why, remedy = problem
        raise ConfigError(
            f"{why}; use the reference engine (--engine reference; "
            f'engine="reference" in Python), or {remedy}'
        )


def default_engine() -> EngineName:
    """Return the compiled engine; if it cannot be used, warn and return the reference engine."""
    if problem := problem_of("compiled"):
        why, remedy = problem
        line = f"{why}; using the reference engine, which is slow; to avoid this, {remedy}"
        warnings.warn(line, EngineWarning, stacklevel=1)  # one place, so Python shows it once
        return "reference"
    return "compiled"


def problem_of(name: str) -> tuple[str, str] | None:
    """Return why an engine cannot be used and what helps, or None if it can be used."""
    if name == "reference":
        return None
    if name not in find_plugins("engines"):
        return "the compiled engine is not installed", "install microgpt-engine"
    why = edit_missing_in(f"the {name} engine")
    return (why, "undo the edit") if why else None


def check_engine(engine: str, dtype: str | None, threads: int = 1) -> None:
    """Raise ConfigError unless the engine exists and supports these settings."""
    checked("engine", engine, EngineName)
    checked("dtype", dtype, DType | None)
    if (engine, dtype) == ("reference", "float32"):
        raise ConfigError(
            "the reference engine supports only float64, not float32; use float64, or the compiled "
            "engine"
        )
    checked("threads", threads, int, maximum=MAX_THREADS)
    if engine == "reference" and threads > 1:
        raise ConfigError("the reference engine supports only one thread; omit threads")
    check_usable(engine)


def check_resume(resume: TrainState, plan: TrainingPlan) -> None:
    """Raise ConfigError unless a checkpoint can belong to a plan."""
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
    engine: EngineName | None,
    *dtypes: DType,
    uses: Collection[Use] = TRAINING,
    tell: Tell = lambda line: None,
) -> float:
    """Load the kernels of an engine. If some are not cached, all of that dtype are compiled.

    Before compiling, `tell` is called with a message for the user. Return the seconds that the
    compilation took, or 0 if there was none.

    Args:
        engine: None for the default engine.
    """
    engine = engine or default_engine()
    module, started, lines = engine_module(engine), perf_counter(), list[str]()

    def note(line: str) -> None:
        lines.append(line)
        tell(line)

    if uses:
        module.prepare(dtypes or (DEFAULT_DTYPE[engine],), uses, note)
    return perf_counter() - started if lines else 0.0


def make_engine(
    engine: EngineName,
    dtype: DType,
    model: ModelConfig,
    config: TrainConfig,
    docs: TokenDataset,
    rng: random.Random,
    threads: int,
) -> Engine:
    """Return an engine with random weights.

    Args:
        docs: documents of 2 to block_size + 1 tokens, in training order; repeated cyclically.

    Raises:
        ConfigError: there is not enough memory, or the sources of the reference engine have been
            edited, so that the compiled one does not implement them.
    """
    module = engine_module(engine)
    check_memory(module.n_bytes(model, docs.longest - 1), "training this model")
    return module.make_engine(model, config, docs, rng, dtype, threads)


def reading_order(
    n: int, config: TrainConfig, rng: random.Random, engine: EngineName
) -> Sequence[int]:
    """Return the indices of n documents in training order, up to the last that is read.

    If `config.shuffle` is set, they are shuffled as by `rng.shuffle`.
    """
    n_read = min(n, config.steps * config.batch_size)
    return engine_module(engine).shuffled(n, rng, n_read) if config.shuffle else range(n_read)
