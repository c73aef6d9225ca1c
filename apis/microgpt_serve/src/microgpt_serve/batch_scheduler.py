"""Dynamic batching: a request queue, and threads that decode requests in batches.

A request is one `Job`. Waiting requests with the same rules share a batch. A thread with several
batches runs each for about 20 ms at a time, so that a large request does not delay a small one.
Between these turns it drops cancelled requests.
"""

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from weakref import WeakKeyDictionary

from microgpt.batching.batch import Batch
from microgpt.engine.decoding.decode_kernel import DecodeArrays
from microgpt.engine.decoding.decoder import max_sequences
from microgpt.inference import InferenceGpt
from microgpt.sampling import Continuation, Job
from microgpt_serve.errors import RETRY_AFTER_S, ServeError

MAX_BATCHES = 8  # per thread, to limit memory; other requests wait
SpareArrays = WeakKeyDictionary[InferenceGpt, list[DecodeArrays]]  # of finished batches, for reuse
Outcome = list[Continuation] | Exception


@dataclass(eq=False)
class QueuedRequest:
    """A job in the queue or in a batch. Only the event loop modifies it, except for `is_taken`."""

    model: InferenceGpt
    job: Job
    result: asyncio.Future[list[Continuation]]
    changed: asyncio.Event | None  # set when `latest` or `result` is new; None without streaming
    latest: Sequence[Continuation] = ()  # the output so far
    is_cancelled: bool = False
    is_taken: bool = False  # a thread has put it into a batch


class BatchScheduler:
    """The request queue and the threads that generate."""

    def __init__(
        self,
        queue_limit: int,
        *,
        n_threads: int | None = None,
        on_speed: Callable[[int, float], None] = lambda n_tokens, seconds: None,
    ) -> None:
        """Create the scheduler without starting its threads, by default one per processor core.

        on_speed is called on the event loop with the number of tokens of finished requests, and the
        seconds of work since its last call.
        """
        has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS and Windows
        n_cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
        self._queue_limit, self._on_speed = queue_limit, on_speed
        self._n_threads = n_threads or n_cores
        self._new: list[QueuedRequest] = []  # submitted in this iteration of the event loop
        self._waiting: deque[QueuedRequest] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    @property
    def n_waiting(self) -> int:
        """The number of requests that no thread has taken."""
        return len(self._waiting) + len(self._new)

    def start(self) -> None:
        """Start the threads; call it on the event loop that submits."""
        self.loop = asyncio.get_running_loop()
        for i in range(self._n_threads):
            thread = threading.Thread(target=self._work, name=f"generation-{i}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stop the threads and abandon their work."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def submit(
        self, model: InferenceGpt, job: Job, changed: asyncio.Event | None = None
    ) -> QueuedRequest:
        """Queue a job; raise ServeError if the queue is full."""
        if self.n_waiting >= self._queue_limit:
            raise ServeError(503, "the queue is full; try again soon", retry_after_s=RETRY_AFTER_S)
        request = QueuedRequest(model, job, self.loop.create_future(), changed)
        if not self._new:
            self.loop.call_soon(self._flush)
        self._new.append(request)
        return request

    def _flush(self) -> None:
        """Queue the requests of one event-loop iteration together, so that they share a batch."""
        with self._changed:
            self._waiting += self._new
            self._changed.notify()
        self._new = []

    def cancel(self, request: QueuedRequest) -> None:
        """Stop working on a request."""
        request.result.cancel()
        request.is_cancelled = True
        if not request.is_taken:
            with self._changed, contextlib.suppress(ValueError):
                self._waiting.remove(request)

    def _work(self) -> None:
        """Process requests until closed; the body of each thread."""
        batches: deque[_RunningBatch] = deque()
        spare = SpareArrays()
        seconds = 0.0  # of work since tokens were last reported
        while True:
            with self._changed:
                while not (self._waiting or batches or self._is_closed):
                    self._changed.wait()
                if self._is_closed:
                    return
                if self._waiting and len(batches) < MAX_BATCHES:
                    batches.append(_RunningBatch(self._take(), spare))
                if self._waiting:  # only one thread was woken for all new requests
                    self._changed.notify()
            batch = batches.popleft()
            started = perf_counter()
            outcomes = batch.run()
            seconds += perf_counter() - started
            updates = batch.updates()
            if outcomes or updates:
                self.loop.call_soon_threadsafe(self._deliver, outcomes, updates, seconds)
            if outcomes:
                seconds = 0.0
            if batch.requests:
                batches.append(batch)
            else:
                batch.close()

    def _take(self) -> list[QueuedRequest]:
        """Return the first waiting request and those that can share its batch."""
        first = self._waiting.popleft()
        room = max_sequences(first.model.config, first.job.rules) - first.job.n_sequences
        taken, left = [first], list[QueuedRequest]()
        for request in self._waiting:
            is_alike = request.model is first.model and request.job.rules == first.job.rules
            if is_alike and request.job.n_sequences <= room:
                taken.append(request)
                room -= request.job.n_sequences
            else:
                left.append(request)
        self._waiting = deque(left)
        for request in taken:
            request.is_taken = True
        return taken

    def _deliver(
        self,
        outcomes: list[tuple[QueuedRequest, Outcome]],
        updates: list[tuple[QueuedRequest, list[Continuation]]],
        seconds: float,
    ) -> None:
        """Set the results and updates of requests. Runs on the event loop."""
        for streamed, continuations in updates:
            streamed.latest = continuations
            if streamed.changed:
                streamed.changed.set()
        n_tokens = 0
        for request, outcome in outcomes:
            if request.result.done():  # cancelled
                continue
            if isinstance(outcome, Exception):
                request.result.set_exception(outcome)
            else:
                request.result.set_result(outcome)
                n_tokens += sum(len(one.tokens) for one in outcome)
        if outcomes:
            self._on_speed(n_tokens, seconds)


class _RunningBatch:
    """A batch and its requests, by job number."""

    def __init__(self, requests: list[QueuedRequest], spare: SpareArrays) -> None:
        self.requests = dict(enumerate(requests))
        self._model = requests[0].model
        self._spare = spare.setdefault(self._model, [])
        self._batch: Batch | None = None

    def run(self) -> list[tuple[QueuedRequest, Outcome]]:
        """Run for about 20 ms and return the finished requests; an exception fails all of them."""
        try:
            if self._batch is None:
                jobs = [request.job for request in self.requests.values()]
                arrays = self._spare.pop() if self._spare else None
                self._batch = Batch(self._model.compiled, jobs, arrays)
            for number in [n for n, request in self.requests.items() if request.is_cancelled]:
                self._batch.drop(number)
                del self.requests[number]
            return [(self.requests.pop(n), outcome) for n, outcome in self._batch.run()]
        except BaseException as error:  # the thread must survive: other requests depend on it
            fault = RuntimeError("the engine failed")  # must not be mistaken for a client error
            fault.__cause__ = error
            failed, self.requests = self.requests, {}
            self._batch = None  # its arrays may be corrupt: do not reuse them
            return [(request, fault) for request in failed.values()]

    def updates(self) -> list[tuple[QueuedRequest, list[Continuation]]]:
        """Return the output so far of the streamed requests."""
        return [
            (request, self._batch.so_far(number))
            for number, request in self.requests.items()
            if self._batch and request.changed
        ]

    def close(self) -> None:
        """Release the arrays for the next batch of this model."""
        if self._batch:
            self._spare.append(self._batch.arrays)
