"""Evaluate items on a worker pool, and retry items that were lost when a worker died.

docs/decisions/0016-one-driver-for-any-executor.md explains why all pools share this driver.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event
from typing import Generic, Literal, TypeVar

from microgpt_evolution.errors import StoppedError
from microgpt_evolution.workers.pools import Pool

Item = TypeVar("Item")
Result = TypeVar("Result")

N_DEATHS = 3  # number of worker deaths after which an item counts as crashed
PER_WORKER = 2  # items per worker: one runs and one is queued, so that no worker is idle
POLL_S = 0.1  # interval in seconds between checks of should_stop


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """The result or the error of an item.

    "failed": the work raised an exception. "crashed": at least three workers died while
    evaluating the item, the last of them while no other item was running.
    """

    status: Literal["done", "failed", "crashed"]
    result: Result | None = None
    error: str | None = None  # error message on one line


def evaluate_all(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    pool: Pool,
    *,
    on_outcome: Callable[[int, Outcome[Result]], None] | None = None,
    should_stop: Event | None = None,
) -> list[Outcome[Result]]:
    """Return the outcome of work(item) for each item, in order.

    When a worker dies, several items may be lost. Each lost item is retried alone to find the item
    that kills its worker; after three deaths, that item counts as crashed. Thus `work` may be
    called more than once per item.

    Args:
        work: function to call.
        items: arguments of `work`, read one by one as workers become free.
        pool: worker pool; it is left open unless the evaluation ends early.
        on_outcome: called in the calling thread with the index and the outcome of each item.
        should_stop: event that ends the evaluation early. Ctrl-C and an exception in on_outcome
            also set the event. Dask tasks are cancelled. Threads are
            joined, so their work must return soon after the event is set.

    Raises:
        StoppedError: should_stop was set before the last outcome.
        ClusterError: the cluster cannot be reached.
    """
    should_stop = should_stop or Event()
    outcomes: dict[int, Outcome[Result]] = {}
    try:
        for i, outcome in _Evaluation(work, items, pool).outcomes(should_stop):
            outcomes[i] = outcome
            if on_outcome:
                on_outcome(i, outcome)
    except BaseException:
        should_stop.set()
        pool.close()
        raise
    return [outcomes[i] for i in range(len(items))]


class _Evaluation(Generic[Item, Result]):
    """The state of an evaluation; suspects are items that may have killed their worker."""

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item], pool: Pool) -> None:
        self.work, self.items, self.pool = work, items, pool
        self.waiting = iter(range(len(items)))
        self.running: dict[Future[Result], int] = {}
        self.finished: SimpleQueue[Future[Result]] = SimpleQueue()
        self.suspects: deque[int] = deque()
        self.n_deaths: Counter[int] = Counter()
        # True while a suspect runs alone. If a worker dies, the suspect is the cause.
        self.is_alone = False
        self.has_lost = False  # whether a worker has died since the pool was built

    def outcomes(self, should_stop: Event) -> Iterator[tuple[int, Outcome[Result]]]:
        """Yield the index and the outcome of each item as it completes."""
        n_done = 0
        while n_done < len(self.items):
            if should_stop.is_set():
                raise StoppedError(f"stopped after {n_done} of {len(self.items)} evaluations")
            self._submit()
            try:
                future = self.finished.get(timeout=POLL_S)
            except Empty:
                self.pool.check()
                continue
            i = self.running.pop(future)
            if outcome := self._outcome(i, future):
                n_done += 1
                yield i, outcome

    def _submit(self) -> None:
        """Start items until all workers are busy.

        If a worker has died, first wait for the running items to finish.
        """
        if self.has_lost and not self.running:
            self.pool.close()
            self.has_lost = False
        if self.running and (self.is_alone or self.suspects):
            return
        self.is_alone = bool(self.suspects)
        if self.suspects:
            self._start(self.suspects.popleft())
            return
        while not self.has_lost and len(self.running) < PER_WORKER * self.pool.n_workers():
            i = next(self.waiting, None)
            if i is None:
                return
            self._start(i)

    def _start(self, i: int) -> None:
        try:
            future = self.pool.executor().submit(self.work, self.items[i])
        except Exception as error:
            if not self.pool.deaths(error):
                raise
            self.has_lost = True  # an idle worker died
            future = Future()
            future.set_exception(error)
        self.running[future] = i
        future.add_done_callback(self.finished.put)

    def _outcome(self, i: int, future: Future[Result]) -> Outcome[Result] | None:
        """Return the outcome of an item, or None to retry it."""
        # Do not raise the error: its traceback would keep the future and the data alive.
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            return Outcome("done", future.result())
        if n_deaths := self.pool.deaths(error):
            self.has_lost = True
            self.n_deaths[i] += n_deaths
            if not self.is_alone or self.n_deaths[i] < N_DEATHS:
                self.suspects.append(i)
                return None
            return Outcome("crashed", error=f"its worker died {self.n_deaths[i]} times")
        if isinstance(error, Exception):
            kind, message = type(error).__name__, " ".join(str(error).split())
            return Outcome("failed", error=f"{kind}: {message}" if message else kind)
        raise error  # KeyboardInterrupt or SystemExit, not caused by the item
