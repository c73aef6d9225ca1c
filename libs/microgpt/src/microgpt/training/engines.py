"""One interface for the compiled and the reference engine.

Both give the same losses, weights and random numbers; tests and `microgpt verify` check this. The
reference engine loads neither numpy nor numba.
"""

import math
import random
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Literal, Protocol

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig, check_choice, check_threads
from microgpt.data.token_dataset import TokenDataset
from microgpt.dropout_mask import batch_dropout
from microgpt.errors import ConfigError
from microgpt.evaluation.held_out_loss import Nll, scalar_nll
from microgpt.flat_weights import RESULT_BYTES_PER_WEIGHT, Numbers, by_name
from microgpt.memory_limit import check_memory
from microgpt.model import Gpt, Weights, count_params, init_weights
from microgpt.reference import ReferenceEngine
from microgpt.state import TrainState

Use = Literal["training", "evaluation", "decoding", "generation"]
TRAINING: tuple[Use, ...] = ("training",)
DEFAULT_DTYPE: dict[EngineName, DType] = {"compiled": "float32", "reference": "float64"}

# Lower bounds for the reference: per weight a Value, its float and Adam's two means; per
# multiplication the references to both operands and to both local gradients in the graph.
BYTES_PER_WEIGHT, BYTES_PER_MULTIPLICATION = 200, 32
RUN_S = 0.02  # target duration of a `run` call of the reference; at least one document is read


class Engine(Protocol):
    """A model in training, with its documents and optimizer state."""

    @property
    def n_steps(self) -> int:
        """The number of updates so far."""

    def run(self, until: int) -> list[float]:
        """Train briefly, at most up to step `until`, and return the losses of the steps taken.

        A final nan marks a step with a non-finite loss or gradient; that step changes nothing.
        """

    def backward(self, should_stop: Callable[[], bool]) -> float:
        """Return the loss of the next step without an update; nan if it or a gradient is nan.

        If should_stop returns true, it is the loss of the documents read so far, at least one.
        """

    def undo(self) -> None:
        """Undo the last step."""

    def set_weights(self, numbers: Sequence[float]) -> None:
        """Set the initial weights, in the order of `weight_shapes`."""

    def resume(self, step: int, weights: Numbers, adam_m: Numbers, adam_v: Numbers) -> None:
        """Continue from the state of another training."""

    def flat_weights(self) -> Numbers:
        """Return a copy of the weights, in that order."""

    def numbers(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return copies of the weights and of Adam's running means m and v."""


def check_engine(engine: str, dtype: str | None, threads: int = 1) -> None:
    """Raise ConfigError unless the engine exists and supports the dtype and threads."""
    check_choice("engine", engine, EngineName)
    if dtype is not None:
        check_choice("dtype", dtype, DType)
    if (engine, dtype) == ("reference", "float32"):
        raise ConfigError("the reference engine supports only float64; leave dtype out")
    check_threads(threads)
    if engine == "reference" and threads > 1:
        raise ConfigError("the reference engine supports only one thread; leave threads out")


def check_fits(
    engine: EngineName,
    dtype: DType,
    model: ModelConfig,
    config: TrainConfig,
    *,
    longest: int,
    threads: int = 1,
) -> None:
    """Raise ConfigError if training needs more than the free memory."""
    n_bytes = bytes_needed(engine, dtype, model, config, longest=longest, threads=threads)
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
    """Return the bytes that training needs, documents excluded."""
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
    """Load the kernels of an engine; compile them first if they are not cached.

    `tell` is called with a line for the user before they are compiled.
    """
    if engine == "reference":
        return
    from microgpt.engine import compiled_model as model
    from microgpt.engine.jit import on_compiling
    from microgpt.engine.training import trainer as compiled

    prepare = {
        "training": compiled.prepare,
        "evaluation": model.prepare_evaluation,
        "decoding": model.prepare_decoding,  # one sequence: samples after training, chat
        "generation": model.prepare_generation,  # many sequences in a batch
    }
    with on_compiling(tell or (lambda line: None)):
        for dtype in dtypes or (DEFAULT_DTYPE[engine],):
            for use in uses:
                prepare[use](dtype)


def shuffled(n: int, rng: random.Random, engine: EngineName, *, n_first: int) -> Sequence[int]:
    """Return the first n_first of 0 … n−1 in the order of `rng.shuffle`."""
    if engine == "compiled":
        from microgpt.engine import mersenne

        return mersenne.shuffled(n, rng, n_first)
    order = list(range(n))
    rng.shuffle(order)
    return order[:n_first]


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
    """Return an engine with random weights, or those of the state to resume.

    The docs, 2 to block_size + 1 tokens each, are in training order, which repeats. The weights are
    drawn from rng even on resume, so that its next numbers are the same.

    Raises:
        ConfigError: there is not enough memory.
    """
    check_fits(engine, dtype, model, config, longest=docs.longest - 1, threads=threads)
    if engine == "compiled":
        from microgpt.engine import mersenne
        from microgpt.engine.training.threaded_step import ThreadedEngine, useful_threads
        from microgpt.engine.training.trainer import CompiledEngine

        n_tokens = config.batch_size * (len(docs.tokens) / len(docs) - 1)
        threads = useful_threads(model, config, n_tokens, threads)
        compiled = (
            CompiledEngine(model, config, docs, dtype=dtype)
            if threads == 1
            else ThreadedEngine(model, config, docs, dtype=dtype, threads=threads)
        )
        compiled.set_weights(mersenne.gauss(count_params(model), model.init_std, rng))
        made: Engine = compiled
    else:
        made = _Reference(model, config, init_weights(model, rng), docs)
    if resume:
        made.resume(resume.step, resume.weights, resume.adam_m, resume.adam_v)
    return made


def make_nll(
    engine: EngineName, dtype: DType, model: ModelConfig, weights: Numbers, *, threads: int = 1
) -> Nll:
    """Return a function that computes the NLL of documents under a model."""
    if engine == "compiled":
        from microgpt.engine.compiled_model import CompiledModel

        compiled = CompiledModel(model, weights, dtype)
        return partial(compiled.nll, threads=threads)
    return partial(scalar_nll, Gpt(model, by_name(model, weights.tolist())))


class _Reference:
    """The reference engine on a dataset; a `run` call takes about 20 ms."""

    def __init__(
        self, model: ModelConfig, config: TrainConfig, weights: Weights[float], docs: TokenDataset
    ) -> None:
        adam = (config.beta1, config.beta2, config.adam_eps, config.weight_decay)
        self._engine = ReferenceEngine(model, weights, *adam)
        self._config, self._docs = config, docs
        self._reading: Iterator[tuple[int, float]] | None = None  # of the step in progress

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
        """Read the documents of the next step; after each, yield the count and the loss."""
        first = self.n_steps * self._config.batch_size
        ids = [i % len(self._docs) for i in range(first, first + self._config.batch_size)]
        batch, masks = [self._docs[i] for i in ids], [self._docs.mask_of(i) for i in ids]
        drops = batch_dropout(self._config, self.n_steps)
        return enumerate(self._engine.backward(batch, masks, drops), start=1)
