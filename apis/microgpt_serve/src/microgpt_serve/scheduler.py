"""Dynamic batching: a request queue and worker threads that decode requests in batches.

Each request is one `Job`. Waiting requests with the same model and `DecodeRules` share a batch. A
thread with several batches runs each for about 20 ms at a time, so that a large request does not
delay a small one. Cancelled requests are dropped between these time slices.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from microgpt import Continuation, EngineBatch, InferenceGpt, Job, n_cpus
from microgpt_serve.service_errors import QueueFullError

QUEUE_LIMIT = 64  # maximum number of waiting requests; a small request counts as a fraction of one
TOKENS_PER_PLACE = 4096  # number of tokens that fill a slot of the queue
MIN_TOKENS = 64  # minimum number of tokens that a request counts as; every request takes memory
MAX_BATCHES = 8  # maximum number of batches per thread; limits memory use
MAX_LARGE = 4  # maximum number of batches per thread that begin with a large request
Outcome = list[Continuation] | Exception


@dataclass(eq=False)
class QueuedRequest:
    """A queued or running job. Worker threads modify only `is_taken` and `has_update`."""

    model: InferenceGpt
    job: Job
    is_live: bool  # whether output is delivered while the job runs
    ready: asyncio.Future[None]  # completed when there is output or an error
    count: Callable[[int], None] | None = None  # called with the number of new tokens
    error: Exception | None = None
    output: list[list[Continuation]] = field(default_factory=list)  # output since the last `take`
    is_cancelled: bool = False
    is_taken: bool = False  # True once a thread has added the request to a batch
    has_update: bool = False  # True while output is on its way from a thread to the event loop

    def add(self, output: Outcome) -> None:
        """Append new tokens to the output, or store an error."""
        if isinstance(output, Exception):
            self.error = output
        else:
            if self.count:
                self.count(sum(len(one.tokens) for one in output))
            self.output.append(output)
        if not self.ready.done():
            self.ready.set_result(None)

    def take(self) -> list[list[Continuation]]:
        """Return the output added since the last call; if generation failed, raise its error."""
        if self.error:
            raise self.error
        taken, self.output = self.output, []
        self.ready = self.ready.get_loop().create_future()
        return taken

    @cached_property
    def n_tokens(self) -> int:
        """Number of tokens of the request that count towards the queue limit."""
        most_new = self.job.rules.max_tokens or self.model.config.block_size
        n_tokens = len(self.job.seeds) * sum(len(one) + most_new for one in self.job.prompts)
        return min(max(MIN_TOKENS, n_tokens), TOKENS_PER_PLACE)

    @property
    def is_large(self) -> bool:
        """Whether the request fills a whole slot of the queue."""
        return self.n_tokens == TOKENS_PER_PLACE


class BatchScheduler:
    """Queues requests and runs the worker threads that process them."""

    def __init__(self, queue_limit: int) -> None:
        """Create a scheduler whose queue has `queue_limit` slots.

        A request with fewer than TOKENS_PER_PLACE tokens takes only a fraction of a slot.
        """
        self._limit = queue_limit * TOKENS_PER_PLACE
        self._n_tokens = 0  # tokens in requests that no batch contains yet; guarded by `_changed`
        self._new: list[QueuedRequest] = []  # requests submitted in this event-loop iteration
        self._waiting: deque[QueuedRequest] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    @property
    def n_waiting(self) -> int:
        """Number of requests that are not yet in a batch."""
        return len(self._waiting) + len(self._new)

    def start(self) -> None:
        """Start a thread per CPU. The event loop that submits requests must call this method."""
        self.loop = asyncio.get_running_loop()
        for i in range(n_cpus()):
            thread = threading.Thread(target=self._work, name=f"generation-{i}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stop the threads and discard unfinished requests."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def submit(self, model: InferenceGpt, job: Job, *, is_live: bool = False) -> QueuedRequest:
        """Queue a job and return its request; raise QueueFullError if the queue is full."""
        request = QueuedRequest(model, job, is_live, self.loop.create_future())
        with self._changed:
            if self._n_tokens >= self._limit:
                raise QueueFullError
            self._n_tokens += request.n_tokens
        if not self._new:
            self.loop.call_soon(self._flush)
        self._new.append(request)
        return request

    def _flush(self) -> None:
        """Queue all requests of an event-loop iteration at once, so that they can share a batch."""
        with self._changed:
            self._waiting += self._new
            self._changed.notify()
        self._new = []

    def cancel(self, request: QueuedRequest) -> None:
        """Cancel a queued or running request."""
        request.is_cancelled = True
        if not request.is_taken:
            with self._changed, contextlib.suppress(ValueError):
                self._waiting.remove(request)
                self._n_tokens -= request.n_tokens

    def _work(self) -> None:
        """Process requests until the scheduler is closed. Each worker thread runs this method."""
        batches: deque[_RunningBatch] = deque()
        turn = _BatchOrder()
        while True:
            with self._changed:
                while not (self._waiting or batches or self._is_closed):
                    self._changed.wait()
                if self._is_closed:
                    return
                requests = self._take(batches, turn)
                if self._waiting:  # wake another thread; `_flush` wakes only one
                    self._changed.notify()
            batch = _RunningBatch(requests) if requests else turn.running(batches)
            if outcomes := [*batch.run(), *batch.updates()]:
                with contextlib.suppress(RuntimeError):  # closed loop, after a second Ctrl-C
                    self.loop.call_soon_threadsafe(_deliver, outcomes)
            if batch.requests:
                batches.append(batch)

    def _take(
        self, batches: Collection["_RunningBatch"], turn: "_BatchOrder"
    ) -> list[QueuedRequest]:
        """Dequeue the first request and all that can join its batch; none if it has to wait."""
        n_large = sum(batch.is_large for batch in batches)
        able = [one for one in self._waiting if not one.is_large or n_large < MAX_LARGE]
        first = turn.next(able, [one for one in able if not one.is_large], is_busy=bool(batches))
        if first is None or len(batches) == MAX_BATCHES:
            return []
        self._waiting.remove(first)
        room = first.model.engine_model.max_sequences(first.job.rules) - first.job.n_sequences
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
            self._n_tokens -= request.n_tokens
        return taken


def _deliver(outcomes: list[tuple[QueuedRequest, Outcome]]) -> None:
    """Pass each outcome to its request. This function runs on the event loop."""
    for request, outcome in outcomes:
        request.has_update = False
        request.add(outcome)


@dataclass
class _BatchOrder:
    """Decides whether a thread starts a small or large request next, or continues a batch.

    A new batch runs immediately. A small request waits for at most one turn. The remaining turns go
    alternately to the oldest request and to a running batch. Every second turn of running batches
    goes to the oldest batch, so that long texts end even under constant load.
    """

    began_small: bool = False
    ran_old: bool = True
    ran_oldest: bool = False

    def next(
        self, able: Sequence[QueuedRequest], small: Sequence[QueuedRequest], *, is_busy: bool
    ) -> QueuedRequest | None:
        """Return the request to start, or None if it is the turn of a running batch."""
        self.began_small = bool(small) and not self.began_small
        if self.began_small:
            return small[0]
        self.ran_old = is_busy and not self.ran_old
        return able[0] if able and not self.ran_old else None

    def running(self, batches: deque["_RunningBatch"]) -> "_RunningBatch":
        """Remove and return the batch to run next; `batches` has the longest-waiting one first."""
        self.ran_oldest = not self.ran_oldest
        batch = min(batches, key=lambda one: one.began) if self.ran_oldest else batches[0]
        batches.remove(batch)
        return batch


class _RunningBatch:
    """A batch in progress. `requests` maps job numbers to requests."""

    def __init__(self, requests: list[QueuedRequest]) -> None:
        self.requests = dict(enumerate(requests))
        self.is_large = requests[0].is_large
        self.began = time.monotonic()
        self._model = requests[0].model
        self._batch: EngineBatch | None = None

    def run(self) -> list[tuple[QueuedRequest, Outcome]]:
        """Run for about 20 ms; return finished requests and their results, or all with an error."""
        try:
            if self._batch is None:
                jobs = [request.job for request in self.requests.values()]
                self._batch = self._model.engine_model.batch(jobs)
            outcomes = list[tuple[QueuedRequest, Outcome]]()
            for number in [n for n, request in self.requests.items() if request.is_cancelled]:
                outcomes.append((self.requests.pop(number), self._batch.take(number)))
                self._batch.drop(number)
            outcomes += [(self.requests.pop(n), outcome) for n, outcome in self._batch.run()]
            return outcomes
        except BaseException as error:  # keep the thread alive for other requests
            fault = RuntimeError("the engine failed")  # a MicrogptError would produce status 400
            fault.__cause__ = error
            failed, self.requests, self._batch = self.requests, {}, None
            return [(request, fault) for request in failed.values()]

    def updates(self) -> list[tuple[QueuedRequest, Outcome]]:
        """Return the new output of each live request whose last output has been delivered."""
        updates = list[tuple[QueuedRequest, Outcome]]()
        for number, request in self.requests.items():
            if self._batch and request.is_live and not request.has_update:
                request.has_update = True
                updates.append((request, self._batch.take(number)))
        return updates
