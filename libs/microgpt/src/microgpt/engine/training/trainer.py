"""The compiled engine: `ReferenceEngine`'s arithmetic on arrays, in machine code.

It trains on documents that it holds as one array of tokens, for a fraction of a second at a time.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.token_dataset import TokenDataset, Tokens
from microgpt.engine import mersenne
from microgpt.engine.buffers import Buffers, allocate_buffers, buffer_bytes
from microgpt.engine.settings import settings_of
from microgpt.engine.training.step import take_steps
from microgpt.engine.weights import PackedWeights, padded
from microgpt.flat_weights import RESULT_BYTES_PER_WEIGHT, Numbers
from microgpt.model import count_params

# Short documents share a micro-batch of so many tokens: enough to fill the vectors, and few enough
# for the activations to stay in the processor's cache, and for threads to share a batch.
MICRO_BATCH = 128
RUN_S = 0.02  # how long a call of `run` takes, about
MAX_STEPS = 8192  # of one call
# `undo` repeats what came after a snapshot. A longer time between two costs nothing but that, and
# is taken where a snapshot would otherwise be more than a fiftieth of the training.
SNAPSHOT_INTERVAL_S, SNAPSHOT_SHARE = 0.5, 1 / 50


class Workspace(NamedTuple):
    """What a micro-batch is worked on with."""

    params: PackedWeights  # the weights, or a copy
    grads: PackedWeights  # what its gradients are added to
    buffers: Buffers
    progress: NDArray[Any]  # see `take_steps`


class CompiledEngine:
    """A model in training, with the state of its optimizer."""

    def __init__(
        self,
        model: ModelConfig,
        config: TrainConfig,
        docs: Sequence[Tokens],
        *,
        dtype: str,
    ) -> None:
        """Hold a model whose weights are all 0, and documents.

        Args:
            model: its shape.
            config: the course of the training.
            docs: as tokens, 2 to block_size + 1 each, in the order of training; after the last
                comes the first again.
            dtype: "float32" or "float64".
        """
        self.config = config
        self._n_head = model.n_head
        corpus = TokenDataset.of(docs)
        self._tokens = np.frombuffer(corpus.tokens, np.int64)
        self._starts = np.frombuffer(corpus.starts, np.int64)
        self._mask = np.frombuffer(corpus.mask, np.int8)
        self._targets_before = _targets_before(self._starts, self._mask)
        self._settings = settings_of(config, dtype)
        self._params, self._m, self._v = (PackedWeights(model, dtype) for _ in range(3))
        longest = corpus.longest - 1
        buffers = allocate_buffers(model, dtype, n_columns(config, longest), longest)
        self._desk = Workspace(self._params, PackedWeights(model, dtype), buffers, np.zeros(3))
        self._grads, self._progress = self._desk.grads, self._desk.progress
        self._snapshots: list[tuple[int, list[NDArray[Any]]]] = []  # the last two
        self._snapshot_due = -math.inf
        self._n_tokens = 1  # of the next call of `run`
        self._grads_are_fresh = True  # whether the gradients are of the step in progress alone

    @property
    def n_steps(self) -> int:
        """The updates so far."""
        return int(self._progress[0])

    def set_weights(self, numbers: Sequence[float] | Numbers) -> None:
        """Begin with these weights, in the order of `weight_shapes`."""
        self._params.set(numbers)
        self._begin_anew()

    def resume(
        self,
        step: int,
        weights: Mapping[str, Sequence[Sequence[float]]] | Numbers,
        adam_m: Sequence[float] | Numbers,
        adam_v: Sequence[float] | Numbers,
    ) -> None:
        """Go on from where another training stood."""
        self._params.set(weights)
        self._m.set(adam_m)
        self._v.set(adam_v)
        self._progress[0] = step
        self._begin_anew()

    def run(self, until: int) -> list[float]:
        """Train for about 20 ms, up to step `until`; return the losses of the steps taken.

        There may be none, where a step takes longer: the next call goes on within it. A nan at the
        end is that of a step whose loss or gradient is not finite; it has changed nothing.
        """
        started = perf_counter()
        if not self._grads_are_fresh:
            self._forget_batch()
        if started >= self._snapshot_due:
            if self._progress[1] == 0:
                self._take_snapshot()
            else:  # not in the middle of a step, but the next call can
                until = min(until, self.n_steps + 1)
        losses, n_read = self._advance(until, self._n_tokens)
        # As much next time as will take 20 ms, but at most ten times as much: this call may have
        # had to compile, or to wait for a processor.
        speed = n_read / (perf_counter() - started)
        self._n_tokens = max(1, min(int(speed * RUN_S), 10 * self._n_tokens))
        return losses

    def backward(self, should_stop: Callable[[], bool] = lambda: False) -> float:
        """Return the loss of the next step and leave its gradients; nan if one is not finite.

        Once should_stop says so, it is the loss of the documents that were read, at least 20 ms.
        """
        self._forget_batch()
        losses, _ = self._take_steps(self.n_steps + 1, self._n_tokens, update=False)
        while not losses and not should_stop():
            losses, _ = self._take_steps(self.n_steps + 1, self._n_tokens, update=False)
        loss = losses[0] if losses else float(self._progress[2])
        self._grads_are_fresh = False  # the gradients stay, to be read
        self._progress[1:] = 0
        return loss

    def undo(self) -> None:
        """Take the last step back, by taking those before it again."""
        last = self.n_steps - 1
        step, arrays = next(taken for taken in reversed(self._snapshots) if taken[0] <= last)
        for packed, array in zip((self._params, self._m, self._v), arrays, strict=True):
            packed.array[:] = array
        self._progress[0] = step
        self._forget_batch()
        for buffer in self._desk.buffers:
            buffer[:] = 0  # what is left there may not be finite, and 0 times that is not 0
        while self.n_steps < last:
            self._take_steps(last, self._n_tokens)

    def weights(self) -> dict[str, tuple[tuple[float, ...], ...]]:
        """Return a copy of the weights as plain floats."""
        return _as_floats(self._params)

    def flat_weights(self) -> NDArray[Any]:
        """Return a copy of the weights, in the order of `weight_shapes`."""
        return self._params.flat()

    def numbers(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return copies of the weights, and of Adam's means, in the order of `weight_shapes`."""
        return self.flat_weights(), self._m.flat(), self._v.flat()

    def grads(self) -> dict[str, tuple[tuple[float, ...], ...]]:
        """Return a copy of the gradients of the last call of `backward`, as `weights` does."""
        return _as_floats(self._grads)

    @property
    def adam_m(self) -> list[float]:
        """The running mean of each weight's gradient, in the order of `weight_shapes`."""
        numbers: list[float] = self._m.flat().tolist()
        return numbers

    @property
    def adam_v(self) -> list[float]:
        """The running mean of its square."""
        numbers: list[float] = self._v.flat().tolist()
        return numbers

    def _take_steps(
        self, until: int, n_tokens: int, *, update: bool = True
    ) -> tuple[list[float], int]:
        """Return the losses of the steps taken, and of one that failed, and the tokens read."""
        first = self.n_steps
        steps = np.arange(first, min(until, first + MAX_STEPS))
        losses = np.zeros(steps.size)
        n_read = self._work(self._desk, steps, losses, n_tokens, update=update)
        n_losses = self.n_steps - first
        is_more = n_losses < losses.size and self._progress[1] == self.config.batch_size
        return losses[: n_losses + is_more].tolist(), n_read

    def _advance(self, until: int, n_tokens: int) -> tuple[list[float], int]:
        """Do what `run` needs done: see `_take_steps`."""
        return self._take_steps(until, n_tokens)

    def _work(
        self,
        desk: Workspace,
        steps: NDArray[Any],
        losses: NDArray[Any],
        n_tokens: int,
        *,
        update: bool,
    ) -> int:
        """Go on from the progress of a desk, for some steps; see `take_steps`."""
        config = self.config
        n_read: int = take_steps(
            desk.params.array,
            desk.grads.array,
            self._m.array,
            self._v.array,
            desk.params.matrices,
            desk.grads.matrices,
            desk.buffers,
            self._n_head,
            self._tokens,
            self._starts,
            self._mask,
            self._targets_before,
            config.batch_size,
            int(steps[0]),
            np.asarray(config.lr_at(steps), np.float64),
            self._settings,
            update,
            desk.progress,
            losses,
            n_tokens,
        )
        return n_read

    def _begin_anew(self) -> None:
        """Forget what belongs to other weights."""
        self._forget_batch()
        self._snapshots.clear()
        self._snapshot_due = -math.inf

    def _forget_batch(self) -> None:
        """Have the next step begin with its first document and gradients of 0."""
        self._progress[1:] = 0
        self._grads.array[:] = 0
        self._grads_are_fresh = True

    def _take_snapshot(self) -> None:
        if self._snapshots and self._snapshots[-1][0] == self.n_steps:
            return
        started = perf_counter()
        packed = [packed.array for packed in (self._params, self._m, self._v)]
        if len(self._snapshots) < 2:
            arrays = [array.copy() for array in packed]
        else:
            arrays = self._snapshots.pop(0)[1]
            for array, source in zip(arrays, packed, strict=True):
                array[:] = source
        self._snapshots.append((self.n_steps, arrays))
        now = perf_counter()
        self._snapshot_due = now + max(SNAPSHOT_INTERVAL_S, (now - started) / SNAPSHOT_SHARE)


def prepare(dtype: str) -> None:
    """Have all that a training calls in memory: from disk, or compiled."""
    rng = random.Random(0)
    mersenne.shuffled(2, rng, 2)
    mersenne.gauss(1, 1.0, rng)
    smallest = ModelConfig(n_embd=1, n_head=1, block_size=1, vocab_size=1)
    CompiledEngine(smallest, TrainConfig(), [[0, 0]], dtype=dtype).backward()


def bytes_needed(model: ModelConfig, config: TrainConfig, dtype: str, longest: int) -> int:
    """Return the memory that a training takes, whose longest document predicts so many tokens."""
    n_arrays = 4 + 2 * 3  # weights, gradients and Adam's means; two snapshots
    weights = n_arrays * packed_bytes(model, dtype) + RESULT_BYTES_PER_WEIGHT * count_params(model)
    return weights + buffer_bytes(model, dtype, n_columns(config, longest), longest)


def packed_bytes(model: ModelConfig, dtype: str) -> int:
    """Return the memory of `PackedWeights`."""
    n_rows = count_params(model) // model.n_embd
    return n_rows * padded(model.n_embd, dtype) * np.dtype(dtype).itemsize


def n_columns(config: TrainConfig, longest: int) -> int:
    """Return the most tokens of a micro-batch."""
    return min(max(longest, MICRO_BATCH), longest * config.batch_size)


def _targets_before(starts: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    """Return how many predictions count before each document, and in all (`TokenDataset.mask`)."""
    if not mask.size:
        return starts - np.arange(starts.size)  # all but that of each document's first token
    n_before = np.concatenate(([0], np.cumsum(mask, dtype=np.int64)))
    n_targets = n_before[starts[1:]] - n_before[starts[:-1] + 1]
    return np.concatenate(([0], np.cumsum(n_targets)))


def _as_floats(packed: PackedWeights) -> dict[str, tuple[tuple[float, ...], ...]]:
    return {
        name: tuple(tuple(row) for row in view.tolist()) for name, view in packed.by_name().items()
    }
