"""The compiled engine in several threads: the micro-batches of a step side by side."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.token_dataset import Tokens
from microgpt.engine.buffers import allocate_buffers, buffer_bytes
from microgpt.engine.training import trainer as compiled
from microgpt.engine.training.gradient_reduction import add, add_and_clear, hand_over, update
from microgpt.engine.training.trainer import CompiledEngine, Workspace, n_columns, packed_bytes
from microgpt.engine.weights import PackedWeights
from microgpt.model import count_params

# Micro-batches that a thread works on before it waits for the others, which takes 0.1 ms: as many
# as there is room for gradients, but not so many that it is long before anyone can stop it.
GRADS_BYTES, MAX_A_THREAD = 2**26, 4
WORTH_SHARING = 3e6  # weights times tokens of a step: 0.3 ms, some times what it costs to share it


def useful_threads(model: ModelConfig, config: TrainConfig, n_tokens: float, threads: int) -> int:
    """Return how many of the threads a step of so many tokens should be shared by."""
    is_worth_it = count_params(model) * n_tokens > WORTH_SHARING
    return min(threads, config.batch_size) if is_worth_it else 1


class ThreadedEngine(CompiledEngine):
    """`CompiledEngine` with the same results, sooner where a batch has several micro-batches.

    The micro-batches of a step are dealt out to the threads in turns. Each is worked on at a desk,
    which has gradients of its own. These are added to those of the step in the order of the
    documents. Then one thread moves the weights, and leaves a copy for the others to take.
    """

    def __init__(
        self,
        model: ModelConfig,
        config: TrainConfig,
        docs: Sequence[Tokens],
        *,
        dtype: str,
        threads: int,
    ) -> None:
        """See `CompiledEngine`; threads is how many to use, at least 2."""
        super().__init__(model, config, docs, dtype=dtype)
        self._threads = threads
        self._lengths = np.diff(self._starts)
        self._n_columns = n_columns(config, int(self._lengths.max()) - 1)
        self._for_readers = PackedWeights(model, dtype)
        self._step_of_readers = -1  # whose weights those are
        self._copies = [PackedWeights(model, dtype) for _ in range(threads - 1)]
        self._step_of_copy = [-1] * (threads - 1)
        n_desks = _count_desks(model, config, dtype, threads)
        self._desks = [self._desk, *self._make_desks(n_desks - 1, model, dtype)]
        # Where the gradients are handed over, of each desk that is not the first thread's.
        self._parts = {
            number: PackedWeights(model, dtype).array
            for number in range(n_desks)
            if number % threads
        }
        self._pool = ThreadPoolExecutor(threads - 1)

    def _make_desks(self, n: int, model: ModelConfig, dtype: str) -> list[Workspace]:
        """Return n more desks; the threads take them in turns, the first having taken one."""
        longest = int(self._lengths.max()) - 1
        params = [self._params, *self._copies]
        buffers = [self._desk.buffers] + [
            allocate_buffers(model, dtype, self._n_columns, longest) for _ in self._copies
        ]
        return [
            Workspace(params[i], PackedWeights(model, dtype), buffers[i], np.zeros(3))
            for i in (number % self._threads for number in range(1, n + 1))
        ]

    def undo(self) -> None:
        """Take the last step back; see `CompiledEngine.undo`."""
        for desk in self._desks:
            for buffer in desk.buffers:
                buffer[:] = 0
        super().undo()

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._step_of_readers = -1

    def _advance(self, until: int, n_tokens: int) -> tuple[list[float], int]:
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
        first, n_docs = step * self.config.batch_size, len(self._lengths)
        for place in range(done, self.config.batch_size):
            doc = (first + place) % n_docs
            length = int(self._lengths[doc]) - 1
            if n_tokens + length > self._n_columns:
                if len(places) == len(self._desks):
                    break
                places.append(place)
                n_tokens = 0
            n_tokens += length
        return places

    def _work_together(self, step: int, places: Sequence[int]) -> int:
        """Add the gradients and losses of micro-batches; return the tokens that were read."""
        if self._step_of_readers != step:
            self._for_readers.array[:] = self._params.array
            self._step_of_readers, self._step_of_copy = step, [-1] * len(self._copies)
        desks = self._desks[: len(places)]
        for desk, place in zip(desks[1:], places[1:], strict=True):
            desk.progress[:] = step, place, 0
        shares = [range(first, len(places), self._threads) for first in range(self._threads)]
        futures = []
        try:
            futures = [self._pool.submit(self._read, share, step) for share in shares[1:] if share]
            n_read = self._read(shares[0], step)
            n_read += sum(future.result() for future in futures)
            for number, desk in enumerate(desks[1:], start=1):
                if number in self._parts:
                    add(self._parts[number], self._grads.array)
                else:
                    add_and_clear(desk.grads.array, self._grads.array)
                self._progress[1] = desk.progress[1]
                self._progress[2] += desk.progress[2]
        except BaseException:  # a Ctrl-C: the step begins again, if there is a next time
            wait(futures)
            for desk in desks:
                desk.grads.array[:] = 0
            self._forget_batch()
            raise
        return n_read

    def _read(self, numbers: Sequence[int], step: int) -> int:
        """Work on a micro-batch at each of a thread's desks; return the tokens read."""
        thread, n_read = numbers[0], 0
        if thread and self._step_of_copy[thread - 1] != step:
            self._copies[thread - 1].array[:] = self._for_readers.array
            self._step_of_copy[thread - 1] = step
        for number in numbers:
            desk = self._desks[number]
            n_read += self._work(desk, np.array([step]), np.zeros(1), 1, update=False)
            if thread:
                hand_over(desk.grads.array, self._parts[number])
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
            self._settings,
            self._for_readers.array,
            self._progress,
        ):
            return math.nan
        self._step_of_readers = step + 1
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
