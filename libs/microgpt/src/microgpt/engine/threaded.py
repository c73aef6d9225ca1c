"""The compiled engine in several threads: the micro-batches of a step side by side.

This module knows nothing of what a micro-batch is worked on with; see `parts` and `step`.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from microgpt.config import ModelConfig, TrainConfig
from microgpt.engine import compiled
from microgpt.engine.buffers import allocate_buffers, buffer_bytes
from microgpt.engine.compiled import CompiledEngine, Desk, n_columns, packed_bytes
from microgpt.engine.parts import add_part, hand_over, update
from microgpt.engine.weights import PackedWeights
from microgpt.model import count_params

# Micro-batches that a thread works on before it waits for the others, which takes 0.1 ms: as many
# as there is room for gradients, but not so many that it is long before anyone can stop it.
GRADS_BYTES, MAX_A_THREAD = 2**26, 4
WORTH_SHARING = 3e6  # weights times tokens of a step: 0.3 ms, some times what it costs to share it


class ThreadedEngine(CompiledEngine):
    """`CompiledEngine` with the same results, sooner where a batch has several micro-batches."""

    def __init__(
        self,
        model: ModelConfig,
        config: TrainConfig,
        docs: Sequence[Sequence[int]],
        *,
        dtype: str,
        threads: int,
    ) -> None:
        """See `CompiledEngine`; threads is how many to use, at least 2."""
        super().__init__(model, config, docs, dtype=dtype)
        longest = max(map(len, docs)) - 1
        self._n_columns = n_columns(config, longest)
        self._threads = threads
        n_tokens = (len(self._tokens) / len(docs) - 1) * config.batch_size
        self._is_worth_sharing = count_params(model) * n_tokens > WORTH_SHARING
        # The others compute with copies of the weights, which they take from here: see `adam`.
        self._for_readers = PackedWeights(model, dtype)
        self._n_steps_there = -1  # the updates that it has
        self._copies = [PackedWeights(model, dtype) for _ in range(threads - 1)]
        self._n_steps_in_copy = [-1] * (threads - 1)
        n_desks = _count_desks(model, config, dtype, threads)
        self._desks = [self._desk, *self._make_desks(n_desks - 1, model, dtype)]
        # Where the gradients of each desk but the first are handed over.
        self._parts = [PackedWeights(model, dtype).array for _ in self._desks[1:]]
        self._pool = ThreadPoolExecutor(threads - 1)

    def _make_desks(self, n: int, model: ModelConfig, dtype: str) -> list[Desk]:
        """Return n more desks; the threads take them in turns, the first having taken one."""
        longest = int(np.diff(self._starts).max()) - 1
        params = [self._params, *self._copies]
        buffers = [self._desk.buffers] + [
            allocate_buffers(model, dtype, self._n_columns, longest) for _ in self._copies
        ]
        return [
            Desk(params[i], PackedWeights(model, dtype), buffers[i], np.zeros(3))
            for i in (number % self._threads for number in range(1, n + 1))
        ]

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._n_steps_there = -1

    def _advance(self, until: int, n_tokens: int) -> tuple[list[float], int]:
        if not self._is_worth_sharing:
            return super()._advance(until, n_tokens)
        losses: list[float] = []
        n_read = 0
        while n_read < n_tokens and self.n_steps < until:
            step, done = int(self._progress[0]), int(self._progress[1])
            places = self._micro_batches(step, done)
            if done == 0 and len(places) == 1:  # nothing to share
                taken, n = self._take_steps(step + 1, 1)
                losses, n_read = losses + taken, n_read + n
            else:
                n_read += self._work_together(step, places)
                if self._progress[1] == self.config.batch_size:
                    losses.append(self._finish(step))
            if losses and math.isnan(losses[-1]):
                break
        return losses, n_read

    def _micro_batches(self, step: int, done: int) -> list[int]:
        """Return where the next micro-batches of a step begin, as many as there are desks.

        They are those that `read_documents` makes.
        """
        places, n_tokens = [done], 0
        first, n_docs = step * self.config.batch_size, len(self._starts) - 1
        for place in range(done, self.config.batch_size):
            doc = (first + place) % n_docs
            length = int(self._starts[doc + 1] - self._starts[doc]) - 1
            if n_tokens + length > self._n_columns:
                if len(places) == len(self._desks):
                    break
                places.append(place)
                n_tokens = 0
            n_tokens += length
        return places

    def _work_together(self, step: int, places: Sequence[int]) -> int:
        """Add the gradients and losses of micro-batches; return the tokens that were read."""
        desks = self._desks[1 : len(places)]
        for desk, place in zip(desks, places[1:], strict=True):
            desk.progress[:] = step, place, 0
        if self._n_steps_there != step:
            self._for_readers.array[:] = self._params.array
            self._n_steps_there = step
            self._n_steps_in_copy = [-1] * len(self._copies)
        shares = [range(first, len(places), self._threads) for first in range(self._threads)]
        futures = [self._pool.submit(self._read, share, step) for share in shares[1:] if share]
        n_read = self._read(shares[0], step)
        n_read += sum(future.result() for future in futures)
        for number, desk in enumerate(desks, start=1):
            is_own = number % self._threads == 0
            part = desk.grads.array if is_own else self._parts[number - 1]
            add_part(part, self._grads.array, is_own)
            self._progress[1] = desk.progress[1]
            self._progress[2] += desk.progress[2]
        return n_read

    def _read(self, numbers: Sequence[int], step: int) -> int:
        """Work on a micro-batch at each of some desks; return the tokens read."""
        thread = numbers[0]
        if thread > 0 and self._n_steps_in_copy[thread - 1] != step:
            self._copies[thread - 1].array[:] = self._for_readers.array
            self._n_steps_in_copy[thread - 1] = step
        n_read = 0
        for number in numbers:
            desk = self._desks[number]
            n_read += self._work(desk, np.array([step]), np.zeros(1), 1, update=False)
            if thread > 0:
                hand_over(desk.grads.array, self._parts[number - 1])
        return n_read

    def _finish(self, step: int) -> float:
        """Move the weights; return the loss of the step, nan if that or a gradient is."""
        config, loss = self.config, float(self._progress[2])
        if not math.isfinite(loss) or not update(
            self._params.array,
            self._grads.array,
            self._m.array,
            self._v.array,
            step + 1,
            float(config.lr_at(step)),
            float(config.beta1),
            float(config.beta2),
            self._eps,
            self._for_readers.array,
        ):
            return math.nan
        self._progress[:] = step + 1, 0, 0
        self._n_steps_there = step + 1
        return loss


def bytes_needed(
    model: ModelConfig, config: TrainConfig, dtype: str, *, longest: int, threads: int
) -> int:
    """Return what `compiled.bytes_needed` does, for a training in several threads."""
    n_more = _count_desks(model, config, dtype, threads) - 1
    buffers = buffer_bytes(model, dtype, n_columns(config, longest), longest)
    more = (2 * n_more + threads) * packed_bytes(model, dtype) + (threads - 1) * buffers
    return compiled.bytes_needed(model, config, dtype, longest) + more


def _count_desks(model: ModelConfig, config: TrainConfig, dtype: str, threads: int) -> int:
    """Return how many micro-batches are worked on before the threads wait for one another."""
    room = GRADS_BYTES // (2 * threads * packed_bytes(model, dtype))
    return min(threads * max(1, min(MAX_A_THREAD, room)), config.batch_size)
