"""The compiled engine: `ReferenceEngine`'s arithmetic on arrays, in machine code.

It trains on documents that it holds as one array of tokens, for a fraction of a second at a time.
This module knows nothing of text, of the order of the documents, or of progress.
"""

import math
import random
from collections.abc import Mapping, Sequence
from itertools import chain
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig, TrainConfig
from microgpt.engine import mersenne
from microgpt.engine.buffers import allocate_buffers, buffer_bytes
from microgpt.engine.step import take_steps
from microgpt.engine.weights import PackedWeights, padded
from microgpt.model import count_params

# Short documents share a micro-batch of so many tokens: enough to fill the vectors, and the
# activations of a small model stay in the processor's cache.
MICRO_BATCH = 512
BYTES_EXPORTED = 120  # bytes that a weight takes as a Python float, with Adam's means, and as JSON
RUN_S = 0.02  # how long a call of `run` takes, about
MAX_STEPS = 8192  # of one call
# `undo` repeats what came after a snapshot. A longer time between two costs nothing but that, and
# is taken where a snapshot would otherwise be more than a fiftieth of the training.
SNAPSHOT_INTERVAL_S, SNAPSHOT_SHARE = 0.5, 1 / 50


class CompiledEngine:
    """A model in training, with the state of its optimizer."""

    def __init__(
        self, model: ModelConfig, config: TrainConfig, docs: Sequence[Sequence[int]], *, dtype: str
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
        lengths = [len(doc) for doc in docs]
        self._tokens = np.fromiter(chain.from_iterable(docs), np.int64, sum(lengths))
        self._starts = np.cumsum([0, *lengths])
        # In float32 a smaller epsilon would be 0, and a weight that is never used 0 / 0.
        self._eps = max(float(config.adam_eps), float(np.finfo(dtype).tiny))
        self._params, self._grads, self._m, self._v = (
            PackedWeights(model, dtype) for _ in range(4)
        )
        longest = max(lengths) - 1
        self._buffers = allocate_buffers(model, dtype, _n_columns(config, longest), longest)
        self._progress = np.zeros(3)  # see `take_steps`
        self._snapshots: list[tuple[int, list[NDArray[Any]]]] = []  # the last two
        self._snapshot_due = -math.inf
        self._n_tokens = 1  # of the next call of `run`
        self._grads_are_fresh = True  # whether the gradients are of the step in progress alone

    @property
    def n_steps(self) -> int:
        """The updates so far."""
        return int(self._progress[0])

    def set_weights(self, numbers: NDArray[Any]) -> None:
        """Begin with these weights, in the order of `weight_shapes`."""
        self._params.set_flat(numbers)
        self._begin_anew()

    def resume(
        self,
        step: int,
        weights: Mapping[str, Sequence[Sequence[float]]],
        adam_m: Sequence[float],
        adam_v: Sequence[float],
    ) -> None:
        """Go on from where another training stood."""
        self._params.set(weights)
        self._m.set_flat(adam_m)
        self._v.set_flat(adam_v)
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
        losses, n_read = self._take_steps(until, self._n_tokens)
        # As much next time as will take 20 ms, but at most ten times as much: this call may have
        # had to compile, or to wait for a processor.
        speed = n_read / (perf_counter() - started)
        self._n_tokens = max(1, min(int(speed * RUN_S), 10 * self._n_tokens))
        return losses

    def backward(self) -> float:
        """Return the loss of the next step and leave its gradients; nan if one is not finite."""
        self._forget_batch()
        losses: list[float] = []
        while not losses:  # in pieces, so that it can be interrupted
            losses, _ = self._take_steps(self.n_steps + 1, self._n_tokens, update=False)
        self._grads_are_fresh = False  # the gradients stay, to be read
        self._progress[1:] = 0
        return losses[0]

    def undo(self) -> None:
        """Take the last step back, by taking those before it again."""
        last = self.n_steps - 1
        step, arrays = next(taken for taken in reversed(self._snapshots) if taken[0] <= last)
        for packed, array in zip((self._params, self._m, self._v), arrays, strict=True):
            packed.array[:] = array
        self._progress[0] = step
        self._forget_batch()
        for buffer in self._buffers:
            buffer[:] = 0  # what is left there may not be finite, and 0 times that is not 0
        while self.n_steps < last:
            self._take_steps(last, self._n_tokens)

    def weights(self) -> dict[str, tuple[tuple[float, ...], ...]]:
        """Return a copy of the weights as plain floats."""
        return _as_floats(self._params)

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
        config, first = self.config, self.n_steps
        steps = np.arange(first, min(until, first + MAX_STEPS))
        lrs = np.asarray(config.lr_at(steps), np.float64)
        losses = np.zeros(lrs.size)
        n_read = take_steps(
            self._params.array,
            self._grads.array,
            self._m.array,
            self._v.array,
            self._params.matrices,
            self._grads.matrices,
            self._buffers,
            self._n_head,
            self._tokens,
            self._starts,
            config.batch_size,
            first,
            lrs,
            float(config.beta1),
            float(config.beta2),
            self._eps,
            update,
            self._progress,
            losses,
            n_tokens,
        )
        n_losses = self.n_steps - first
        is_more = n_losses < losses.size and self._progress[1] == config.batch_size
        return losses[: n_losses + is_more].tolist(), n_read

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
    mersenne.shuffled(2, rng)
    mersenne.gauss(1, 1.0, rng)
    smallest = ModelConfig(n_embd=1, n_head=1, block_size=1, vocab_size=1)
    CompiledEngine(smallest, TrainConfig(), [[0, 0]], dtype=dtype).backward()


def bytes_needed(model: ModelConfig, config: TrainConfig, dtype: str, longest: int) -> int:
    """Return the memory that a training takes, whose longest document predicts so many tokens."""
    n_arrays = 4 + 2 * 3  # weights, gradients and Adam's means; two snapshots
    n_packed = count_params(model) // model.n_embd * padded(model.n_embd, dtype)
    weights = n_arrays * n_packed * np.dtype(dtype).itemsize + BYTES_EXPORTED * count_params(model)
    return weights + buffer_bytes(model, dtype, _n_columns(config, longest), longest)


def _n_columns(config: TrainConfig, longest: int) -> int:
    """Return the most tokens of a micro-batch."""
    return min(max(longest, MICRO_BATCH), longest * config.batch_size)


def _as_floats(packed: PackedWeights) -> dict[str, tuple[tuple[float, ...], ...]]:
    return {
        name: tuple(tuple(row) for row in view.tolist()) for name, view in packed.by_name().items()
    }
