"""Common interface of the compiled and the reference engine.

Both engines give the same losses, weights and random numbers, up to rounding; the tests and
`microgpt verify` check this. The reference engine imports neither numpy nor numba.
"""

import math
import random
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Protocol

from microgpt.config import (
    DType,
    EngineName,
    ModelConfig,
    TrainConfig,
    Use,
    check_choice,
    check_threads,
)
from microgpt.data.token_dataset import TokenDataset
from microgpt.dropout_mask import batch_dropout
from microgpt.errors import ConfigError
from microgpt.evaluation.held_out_loss import Nll, scalar_nll
from microgpt.flat_weights import RESULT_BYTES_PER_WEIGHT, Numbers, by_name
from microgpt.memory_limit import check_memory
from microgpt.model import Weights, count_params
from microgpt.model_variants import GptVariant, init_variant
from microgpt.muon import MuonEngine
from microgpt.reference import ReferenceEngine
from microgpt.state import TrainState

TRAINING: tuple[Use, ...] = ("training",)
DEFAULT_DTYPE: dict[EngineName, DType] = {"compiled": "float32", "reference": "float64"}

# Lower bounds on the memory use of the reference engine. A weight needs a Value, a float and two
# Adam moments. A multiplication needs references to both operands and both local gradients.
BYTES_PER_WEIGHT, BYTES_PER_MULTIPLICATION = 200, 32
BYTES_PER_PROBABILITY = 4  # of a soft target, in float32
RUN_S = 0.02  # target duration of `run` on the reference engine, which reads at least one document


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
    """Raise ConfigError unless the engine exists and supports this dtype and number of threads."""
    check_choice("engine", engine, EngineName)
    if dtype is not None:
        check_choice("dtype", dtype, DType)
    if (engine, dtype) == ("reference", "float32"):
        raise ConfigError("the reference engine supports only float64; omit dtype")
    check_threads(threads)
    if engine == "reference" and threads > 1:
        raise ConfigError("the reference engine supports only one thread; omit threads")


def check_fits(
    engine: EngineName,
    dtype: DType,
    model: ModelConfig,
    config: TrainConfig,
    *,
    longest: int,
    threads: int = 1,
    n_soft_targets: int = 0,
) -> None:
    """Raise ConfigError if training, with so many soft targets, needs more memory than is free."""
    n_bytes = bytes_needed(engine, dtype, model, config, longest=longest, threads=threads)
    if n_soft_targets:
        n_bytes += n_soft_targets * model.vocab_size * BYTES_PER_PROBABILITY
        remedy = "use a smaller vocabulary, fewer steps or fewer teacher samples"
        check_memory(n_bytes, "training with the predictions of teachers", remedy)
    else:
        check_memory(n_bytes, "training this model")


def bytes_needed(
    engine: EngineName,
    dtype: DType,
    model: ModelConfig,
    config: TrainConfig,
    *,
    longest: int,
    threads: int = 1,
) -> int:
    """Return the number of bytes that training needs, excluding the documents."""
    if engine == "reference":
        return count_params(model) * (BYTES_PER_WEIGHT + longest * BYTES_PER_MULTIPLICATION)
    from microgpt.engine.training import threaded_step as threaded

    threads = threaded.useful_threads(model, config, longest * config.batch_size, threads)
    n_bytes = threaded.bytes_needed(model, config, dtype, longest=longest, threads=threads)
    return n_bytes + RESULT_BYTES_PER_WEIGHT * count_params(model)


def prepare_engine(
    engine: EngineName,
    *dtypes: DType,
    uses: Collection[Use] = TRAINING,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Load the kernels of an engine. If some are not cached, all of that dtype are compiled.

    Before compiling, `tell` is called with a message for the user.
    """
    if engine == "compiled":
        from microgpt.engine.preparation import prepare

        prepare(dtypes or (DEFAULT_DTYPE[engine],), uses, tell or (lambda line: None))


def reading_order(
    n: int, config: TrainConfig, rng: random.Random, engine: EngineName
) -> Sequence[int]:
    """Return the indices of n documents in training order, up to the last that is read.

    If `config.shuffle` is set, they are shuffled as by `rng.shuffle`.
    """
    n_read = min(n, config.steps * config.batch_size)
    if not config.shuffle:
        return range(n_read)
    if engine == "compiled":
        from microgpt.engine import mersenne

        return mersenne.shuffled(n, rng, n_read)
    order = list(range(n))
    rng.shuffle(order)
    return order[:n_read]


def make_engine(
    engine: EngineName,
    *,
    dtype: DType,
    model: ModelConfig,
    config: TrainConfig,
    docs: TokenDataset,
    rng: random.Random,
    resume: TrainState | None,
    threads: int = 1,
) -> Engine:
    """Return an engine with random weights, or with the weights of a checkpoint.

    Random weights are drawn from rng even if a checkpoint replaces them, so that rng ends in the
    same state in both cases.

    Args:
        docs: documents of 2 to block_size + 1 tokens, in training order; repeated cyclically.
        resume: checkpoint to continue from, if any.

    Raises:
        ConfigError: there is not enough memory.
    """
    check_fits(engine, dtype, model, config, longest=docs.longest - 1, threads=threads)
    if engine == "compiled":
        from microgpt.engine.training.threaded_step import ThreadedEngine, useful_threads
        from microgpt.engine.training.trainer import CompiledEngine
        from microgpt.engine.weights import initial_weights

        n_tokens = config.batch_size * (len(docs.tokens) / len(docs) - 1)
        threads = useful_threads(model, config, n_tokens, threads)
        compiled = (
            CompiledEngine(model, config, docs, dtype=dtype)
            if threads == 1
            else ThreadedEngine(model, config, docs, dtype=dtype, threads=threads)
        )
        compiled.set_weights(initial_weights(model, rng))
        made: Engine = compiled
    else:
        made = _Reference(model, config, init_variant(model, rng), docs)
    if resume:
        made.resume(resume.step, resume.weights, resume.adam_m, resume.adam_v)
    return made


def make_nll(
    engine: EngineName, dtype: DType, model: ModelConfig, weights: Numbers, *, threads: int = 1
) -> Nll:
    """Return a function that computes the negative log-likelihood of documents."""
    if engine == "compiled":
        from microgpt.engine.compiled_model import CompiledModel

        compiled = CompiledModel(model, weights, dtype)
        return partial(compiled.nll, threads=threads)
    return partial(scalar_nll, GptVariant(model, by_name(model, weights.tolist())))


class _Reference:
    """The reference engine. Each `run` call takes about 20 ms."""

    def __init__(
        self, model: ModelConfig, config: TrainConfig, weights: Weights[float], docs: TokenDataset
    ) -> None:
        adam = (config.beta1, config.beta2, config.adam_eps, config.weight_decay)
        kind = MuonEngine if config.optimizer == "muon" else ReferenceEngine
        self._engine = kind(model, weights, *adam, GptVariant)
        self._config, self._docs = config, docs
        self._reading: Iterator[tuple[int, float]] | None = None  # rest of the current batch

    def resume(self, step: int, weights: Numbers, adam_m: Numbers, adam_v: Numbers) -> None:
        self.set_weights(weights.tolist())
        self._engine.n_steps = step
        self._engine.adam_m, self._engine.adam_v = adam_m.tolist(), adam_v.tolist()

    @property
    def n_steps(self) -> int:
        return self._engine.n_steps

    def set_weights(self, numbers: Sequence[float]) -> None:
        for param, number in zip(self._engine.params, numbers, strict=True):
            param.data = number

    def flat_weights(self) -> Numbers:
        return array("d", [param.data for param in self._engine.params])

    def numbers(self) -> tuple[Numbers, Numbers, Numbers]:
        adam_m, adam_v = array("d", self._engine.adam_m), array("d", self._engine.adam_v)
        return self.flat_weights(), adam_m, adam_v

    def undo(self) -> None:
        self.resume(*self._before)

    def run(self, until: int) -> list[float]:
        if self.n_steps >= until:
            return []
        pause_at = perf_counter() + RUN_S
        self._reading = self._reading or self._read_batch()
        for n_read, loss in self._reading:
            if n_read == self._config.batch_size:
                self._reading = None
                if not math.isnan(loss):
                    self._before = self.n_steps, *self.numbers()
                    self._engine.update(self._config.lr_at(self.n_steps))
                return [loss]
            if perf_counter() >= pause_at:
                break
        return []

    def backward(self, should_stop: Callable[[], bool]) -> float:
        batch, self._reading, loss = self._reading or self._read_batch(), None, 0.0
        for _, loss_so_far in batch:
            loss = loss_so_far
            if should_stop():
                break
        return loss

    def _read_batch(self) -> Iterator[tuple[int, float]]:
        """Read the next batch; after each document, yield the document count and loss so far."""
        first = self.n_steps * self._config.batch_size
        ids = [i % len(self._docs) for i in range(first, first + self._config.batch_size)]
        batch, targets = [self._docs[i] for i in ids], [self._docs.targets_of(i) for i in ids]
        drops = batch_dropout(self._config, self.n_steps)
        return enumerate(self._engine.backward(batch, targets, drops), start=1)
