"""Train on several threads, which process the micro-batches of a step in parallel.

Writing a cache line that another core has read is slow, because the copy in that core must be
invalidated first. Data for other threads is therefore written to separate arrays that the writing
thread does not read, bypassing the caches.
The layout is "columns", and each thread has its own copy of the weights. See
docs/engine.md#sharing-work-between-threads.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import numpy as np

from microgpt import ModelConfig, Tokens, TrainConfig
from microgpt_engine.buffers import allocate_buffers
from microgpt_engine.kernel_cache import EntryPoint
from microgpt_engine.trainer import CompiledTraining, n_columns
from microgpt_engine.weight_layout import PackedWeights, aligned_zeros

Result = TypeVar("Result")

# A barrier takes 0.1 ms, so each thread processes up to MAX_PER_THREAD micro-batches between two
# barriers. More would take more memory for gradients, and delay a request to stop training.
GRADS_BYTES, MAX_PER_THREAD = 2**26, 4
# Work per step (number of weights times tokens) above which several threads are used. Such a step
# takes 0.3 ms on one thread, several times the overhead of threads.
MIN_SHARED_WORK = 3e6

add, add_and_clear, find_directions, update, publish_and_clear = (
    EntryPoint(f"microgpt_engine.{place}")
    for place in (
        "kernels.layers:add", "kernels.layers:add_and_clear", "kernels.optimizer:find_directions",
        "kernels.step:update", "kernels.step:publish_and_clear",
    )
)  # fmt: skip


class ThreadedTraining(CompiledTraining):
    """A `CompiledTraining` on several threads, with the same results as on one thread.

    The micro-batches of a step are distributed over the threads. Each micro-batch has a workspace
    with its own gradients, which are added to the gradients of the step in document order. Then one
    thread updates the weights and publishes a copy for the other threads.
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
        super().__init__(model, config, docs, dtype=dtype)
        self._threads, longest = threads, self._dataset.longest
        self._lengths, self._n_columns = np.diff(self._dataset.starts), n_columns(config, longest)
        self._published = PackedWeights(model, dtype)
        self._published_step = -1  # step whose weights `_published` has; -1 for none
        self._copies = [PackedWeights(model, dtype) for _ in range(threads - 1)]
        params = [self._params, *self._copies]  # weights used by each thread
        buffers = [self.workspace.buffers] + [
            allocate_buffers(model, dtype, self._n_columns, longest) for _ in self._copies
        ]
        # Each micro-batch between two barriers needs a workspace.
        room = GRADS_BYTES // (2 * threads * self._params.array.nbytes)
        n_workspaces = min(threads * max(1, min(MAX_PER_THREAD, room)), config.batch_size)
        self._workspaces += [
            self._make_workspace(params[i], PackedWeights(model, dtype), buffers[i])
            for i in (number % threads for number in range(1, n_workspaces))
        ]
        # Arrays in which threads other than the first publish their gradients, by workspace index.
        self._published_grads = {
            number: PackedWeights(model, dtype).array
            for number in range(n_workspaces)
            if number % threads
        }
        self._scratches = [aligned_zeros(self._scratch.shape, dtype) for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads - 1)

    def _discard_batch(self) -> None:
        super()._discard_batch()
        self._published_step = -1  # publish again, as the weights may have been replaced

    def _take_steps(
        self, until: int, n_tokens: int, *, update: bool = True
    ) -> tuple[list[float], int]:
        if not update:
            return super()._take_steps(until, n_tokens, update=False)
        losses: list[float] = []
        n_read = 0
        while n_read < n_tokens and self.n_steps < until:
            step, done = int(self._progress[0]), int(self._progress[1])
            places = self._micro_batches(step, done)
            if done == 0 and len(places) == 1:  # threads cannot share a micro-batch
                taken, n = super()._take_steps(step + 1, 1)
                losses, n_read = losses + taken, n_read + n
            else:
                try:
                    n_read += self._read_in_threads(step, places)
                    if self._progress[1] == self.config.batch_size:
                        losses.append(self._finish(step))
                except BaseException:  # e.g. Ctrl-C; the next call restarts the step
                    for workspace in self._workspaces:
                        workspace.state.grads[:] = 0
                    self._discard_batch()
                    raise
            if losses and math.isnan(losses[-1]):
                break
        return losses, n_read

    def _micro_batches(self, step: int, done: int) -> list[int]:
        """Return the first document index of each upcoming micro-batch, at most one per workspace.

        The micro-batches are the same as those of `read_documents`.
        """
        places, n_tokens = [done], 0
        first, n_docs = step * self.config.batch_size, len(self._lengths)
        for place in range(done, self.config.batch_size):
            doc = (first + place) % n_docs
            length = int(self._lengths[doc]) - 1
            if n_tokens + length > self._n_columns:
                if len(places) == len(self._workspaces):
                    break
                places.append(place)
                n_tokens = 0
            n_tokens += length
        return places

    def _read_in_threads(self, step: int, places: Sequence[int]) -> int:
        """Process micro-batches and sum their gradients; return the number of their tokens."""
        if self._published_step != step:
            self._published.array[:] = self._params.array
            self._published_step = step
        workspaces = self._workspaces[: len(places)]
        for workspace, place in zip(workspaces[1:], places[1:], strict=True):
            workspace.progress[:] = step, place, 0
        shares = [range(first, len(places), self._threads) for first in range(self._threads)]
        is_first = places[0] == 0
        n_read = self._in_threads(lambda thread: self._read(shares[thread], is_first), len(places))
        for number, workspace in enumerate(workspaces[1:], start=1):
            if number in self._published_grads:
                add(self._published_grads[number], self._grads.array, len(self._grads.array))
            else:
                add_and_clear(workspace.state.grads, self._grads.array)
            self._progress[1] = workspace.progress[1]
            self._progress[2] += workspace.progress[2]
        return sum(n_read)

    def _in_threads(self, work: Callable[[int], Result], most: int) -> list[Result]:
        """Call work(i) in each thread i < most; return the results in the order of the threads."""
        others = range(1, min(self._threads, most))
        futures = [self._pool.submit(work, thread) for thread in others]
        try:
            return [work(0), *(future.result() for future in futures)]
        finally:
            wait(futures)

    def _read(self, numbers: Sequence[int], is_first: bool) -> int:
        """Process a micro-batch in each given workspace; return the number of their tokens.

        Before the first micro-batch of a step, the thread copies the published weights.
        """
        thread, n_read = numbers[0], 0
        if thread and is_first:
            self._copies[thread - 1].array[:] = self._published.array
        for number in numbers:
            workspace = self._workspaces[number]
            n_read += self._work(workspace, np.zeros(1, np.float64), 1, update=False)
            if thread:
                publish_and_clear(workspace.state.grads, self._published_grads[number])
        return n_read

    def _finish(self, step: int) -> float:
        """Update the weights; return the loss, or NaN if the loss or a gradient is not finite."""
        state, model, loss = self.workspace.state, self.settings[0], float(self._progress[2])
        if self.config.optimizer == "muon":  # divide the matrices among the threads
            n, scratches = self._threads, self._scratches
            self._in_threads(lambda i: find_directions(state, model, i, n, scratches[i]), n)
        args = float(self.config.lr_at(step)), *self.settings, self._published.array
        if not (math.isfinite(loss) and update(state, *args, self._progress)):
            return math.nan
        self._published_step = step + 1
        return loss
