"""Requests that wait, and the threads that work on them.

A request is one job of `microgpt.batching.jobs`. Requests that wait together and have the same
rules share a batch; a thread with several batches turns from one to the next every 20 ms, so that
no request holds up another for long, however large it is. Between two turns it drops what nobody
wants any more.
"""

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from microgpt.batching.jobs import Batch, Continuation, Job, most_rows
from microgpt.engine.decoding.decoder import DecodeArrays
from microgpt.inference import InferenceGpt

MOST_BATCHES = 8  # that a thread has in work, for the memory they take; the others wait


class QueueFullError(Exception):
    """As many requests wait as may."""


News = Callable[[list[Continuation]], None]


@dataclass(eq=False)
class QueuedRequest:
    """A request in the hands of the threads.

    Attributes:
        model: which the job is for.
        job: what to do.
        done: gets what came, on the event loop.
        on_news: is called with what there is so far, on the event loop, each time that there may be
            more.
        is_taken: whether a thread has taken it up.
        is_wanted: the event loop sets it to False when nobody waits any more.
    """

    model: InferenceGpt
    job: Job
    done: asyncio.Future[list[Continuation]]
    on_news: News | None = None
    is_wanted: bool = True
    is_taken: bool = False


Outcome = list[Continuation] | Exception
Outcomes = list[tuple[QueuedRequest, Outcome]]


class BatchScheduler:
    """Threads that generate, and the queue before them."""

    def __init__(
        self,
        queue_limit: int,
        *,
        n_threads: int | None = None,
        on_speed: Callable[[int, float], None] = lambda n_tokens, seconds: None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            queue_limit: the most requests that wait.
            n_threads: by default one for each processor core.
            on_speed: is called, on the event loop, with the tokens that came and the seconds of
                work since the last time.
        """
        self._queue_limit = queue_limit
        self._n_threads = n_threads or _n_cores()
        self._on_speed = on_speed
        self._new: list[QueuedRequest] = []
        self._waiting: deque[QueuedRequest] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    @property
    def n_waiting(self) -> int:
        """The requests that no thread has taken up."""
        return len(self._waiting) + len(self._new)

    def start(self) -> None:
        """Begin to work; on the event loop that will ask."""
        self.loop = asyncio.get_running_loop()
        for i in range(self._n_threads):
            thread = threading.Thread(target=self._work, name=f"generation-{i}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """End the threads; what they have in work is given up."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def submit(self, model: InferenceGpt, job: Job, on_news: News | None = None) -> QueuedRequest:
        """Return a ticket for a job; see `give_up`.

        Raises:
            QueueFullError: as many requests wait as may.
        """
        ticket = QueuedRequest(model, job, self.loop.create_future(), on_news)
        if self.n_waiting >= self._queue_limit:
            raise QueueFullError
        if not self._new:
            self.loop.call_soon(self._hand_over)
        self._new.append(ticket)
        return ticket

    def _hand_over(self) -> None:
        """Give the threads what came in one turn of the event loop: a batch, and one waking up."""
        with self._changed:
            self._waiting += self._new
            self._changed.notify()
        self._new = []

    def give_up(self, ticket: QueuedRequest) -> None:
        """Let nobody work on a ticket any longer."""
        ticket.is_wanted = False
        if not ticket.is_taken:
            with self._changed, contextlib.suppress(ValueError):
                self._waiting.remove(ticket)

    def _work(self) -> None:
        """Be one of the threads."""
        batches: deque[_Running] = deque()
        spare = _Spare()
        seconds = 0.0  # of work since tokens were counted
        while True:
            with self._changed:
                while not (self._waiting or batches or self._is_closed):
                    self._changed.wait()
                if self._is_closed:
                    return
                has_room = len(batches) < MOST_BATCHES
                tickets = self._take() if self._waiting and has_room else []
                if self._waiting:  # one was woken for all that came together
                    self._changed.notify()
            if tickets:
                batches.append(_Running(tickets, spare))
            batch = batches.popleft()
            started = perf_counter()
            outcomes = batch.turn()
            seconds += perf_counter() - started
            if news := batch.news():
                self.loop.call_soon_threadsafe(_tell, news)
            if outcomes:
                self.loop.call_soon_threadsafe(self._deliver, outcomes, seconds)
                seconds = 0.0
            if batch.tickets:
                batches.append(batch)
            else:
                batch.close()

    def _take(self) -> list[QueuedRequest]:
        """Return the first ticket, and those that can share its batch."""
        first = self._waiting.popleft()
        taken, left, room = [first], [], most_rows(first.model) - first.job.n_sequences
        for ticket in self._waiting:
            alike = ticket.model is first.model and ticket.job.rules == first.job.rules
            if alike and ticket.job.n_sequences <= room:
                taken.append(ticket)
                room -= ticket.job.n_sequences
            else:
                left.append(ticket)
        self._waiting = deque(left)
        for ticket in taken:
            ticket.is_taken = True
        return taken

    def _deliver(self, outcomes: Outcomes, seconds: float) -> None:
        """Tell who asked; on the event loop."""
        n_tokens = 0
        for ticket, outcome in outcomes:
            if ticket.done.done():  # cancelled: nobody waits
                continue
            if isinstance(outcome, Exception):
                ticket.done.set_exception(outcome)
            else:
                ticket.done.set_result(outcome)
                n_tokens += sum(len(one.tokens) for one in outcome)
        self._on_speed(n_tokens, seconds)


class _Running:
    """A batch and those who wait for it."""

    def __init__(self, tickets: list[QueuedRequest], spare: "_Spare") -> None:
        self.tickets = dict(enumerate(tickets))
        self._model = tickets[0].model
        self._spare = spare
        self._batch: Batch | None = None

    def turn(self) -> Outcomes:
        """Work for about 20 ms; return what is done. A fault fails all that share the batch."""
        try:
            if self._batch is None:
                jobs = [ticket.job for ticket in self.tickets.values()]
                self._batch = Batch(self._model, jobs, self._spare.take(self._model))
            for number in [n for n, ticket in self.tickets.items() if not ticket.is_wanted]:
                self._batch.drop(number)
                del self.tickets[number]
            return [(self.tickets.pop(n), outcome) for n, outcome in self._batch.run()]
        except BaseException as error:  # the thread must live on: others wait for it, too
            outcomes: Outcomes = [(ticket, _fault(error)) for ticket in self.tickets.values()]
            self.tickets.clear()
            self._batch = None  # nobody should work where it has
            return outcomes

    def news(self) -> list[tuple[News, list[Continuation]]]:
        """Return what there is so far for those who follow."""
        return [
            (ticket.on_news, self._batch.so_far(number))
            for number, ticket in self.tickets.items()
            if self._batch and ticket.on_news
        ]

    def close(self) -> None:
        """Leave what it has worked in to the next."""
        if self._batch:
            self._spare.put(self._model, self._batch.arrays)


class _Spare:
    """The arrays of batches that are done, for others of the same model."""

    def __init__(self) -> None:
        self._model: InferenceGpt | None = None
        self._arrays: list[DecodeArrays] = []

    def take(self, model: InferenceGpt) -> DecodeArrays | None:
        """Return some, if there are any."""
        if model is not self._model:
            self._model, self._arrays = model, []
        return self._arrays.pop() if self._arrays else None

    def put(self, model: InferenceGpt, arrays: DecodeArrays) -> None:
        """Take some back, unless they are of a model that has been replaced."""
        if model is self._model:
            self._arrays.append(arrays)


def _tell(news: list[tuple[News, list[Continuation]]]) -> None:
    """Tell those who follow; on the event loop."""
    for on_news, continuations in news:
        on_news(continuations)


def _fault(error: BaseException) -> RuntimeError:
    """Return an error of its own for each ticket, which is never taken for what a client did."""
    fault = RuntimeError("the engine failed")
    fault.__cause__ = error
    return fault


def _n_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows do not say
