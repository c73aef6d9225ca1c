"""Run tasks other than batched generation, in steps, on one thread.

These tasks are explanations, scores, log-probabilities, and the validation and encoding of large
bodies. They take turns of a few ms, so that a large task does not delay a small one. Cancelled
tasks are dropped between two steps.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from time import perf_counter
from typing import Any, TypeVar

from microgpt.steps import Steps
from microgpt_serve.errors import QueueFullError

TURN_S = 0.005
LONG_TURN_S = 0.008  # after a turn of more than this, the thread rests as long
MAX_TURNS = 2  # usual maximum number of works that take turns, but for pieces; limits memory use
TOKENS_PER_PLACE = 4096  # tokens of work per unit of MICROGPT_QUEUE_LIMIT
T = TypeVar("T")


def one_step(function: Callable[[], T]) -> Steps[T]:
    """Return a function call as a task with a single step."""
    return function()
    yield


@dataclass(eq=False)
class _Work:
    steps: Steps[Any]
    result: asyncio.Future[Any]  # done early if the work is cancelled


class WorkQueue:
    """Queues tasks and runs them on one thread.

    With several threads, the event loop would often wait for the GIL.
    """

    def __init__(self, queue_limit: int, max_turns: Callable[[], int] = lambda: MAX_TURNS) -> None:
        """Create a queue that accepts tasks while fewer than `queue_limit` places are taken.

        `max_turns` returns how many tasks may take turns.
        """
        self._max_turns = max_turns
        self._limit = queue_limit * TOKENS_PER_PLACE
        self._n_tokens = 0  # of unfinished works
        self._waiting: deque[_Work] = deque()
        self._pieces: deque[_Work] = deque()  # of 0 tokens
        self._running: deque[_Work] = deque()  # but for the one in the thread
        self._is_busy = False  # whether the thread has work
        self._turns = SimpleQueue[_Work | None]()
        self._thread: threading.Thread | None = None

    @property
    def n_waiting(self) -> int:
        """Number of tasks that have not begun."""
        return len(self._waiting)

    def submit(
        self, steps: Steps[T], n_tokens: int, *, is_begun: bool = False
    ) -> asyncio.Future[T]:
        """Queue a task of `n_tokens` tokens and return a future. Raise QueueFullError if full.

        If its request has already begun, a task is never refused. A task of 0 tokens, such as a
        piece of a stream, never waits behind others. To cancel a task, cancel the future or set its
        exception.
        """
        if not is_begun and self._n_tokens >= self._limit:
            raise QueueFullError
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        work = _Work(steps, result)
        self._n_tokens += n_tokens

        def leave(_: asyncio.Future[T]) -> None:
            self._n_tokens -= n_tokens
            with suppress(ValueError):  # cancelled work that waits would keep its memory
                self._waiting.remove(work)

        result.add_done_callback(leave)
        (self._waiting if n_tokens else self._pieces).append(work)
        if not self._is_busy:
            self._begin_turn()
        return result

    def _begin_turn(self) -> None:
        """Start the turn of the next task, if there is one."""
        while self._pieces:
            self._running.append(self._pieces.popleft())
        while self._waiting and len(self._running) < self._max_turns():
            self._running.append(self._waiting.popleft())
        self._is_busy = bool(self._running)
        if self._is_busy:
            self._turns.put(self._running.popleft())
            if self._thread is None:
                # A daemon thread, so that a long step does not delay process exit.
                self._thread = threading.Thread(target=self._work, name="work", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        """Run each task for about TURN_S seconds until the queue is closed. Runs in the thread."""
        while work := self._turns.get():
            started, end = perf_counter(), None
            try:
                while not work.result.done() and perf_counter() < started + TURN_S:
                    next(work.steps)
            except BaseException as error:  # includes panics in the tokenizers library
                end = error
            seconds = perf_counter() - started
            with suppress(RuntimeError):  # the event loop is closed
                work.result.get_loop().call_soon_threadsafe(self._end_turn, work, end, seconds)
            del end  # its traceback refers to this frame

    def _end_turn(self, work: _Work, end: BaseException | None, seconds: float) -> None:
        """Deliver the result of a task if it has ended, and begin the next turn.

        The event loop begins every turn, so that other requests are served in between. If a turn
        took long, because it held the GIL or waited for it, the thread pauses for the same time.
        """
        result = work.result
        if result.done():  # the work was cancelled
            work.steps.close()
        elif end is None:
            self._running.append(work)
        elif isinstance(end, StopIteration):
            result.set_result(end.value)
        elif isinstance(end, Exception):
            result.set_exception(end)
        else:
            fault = RuntimeError(f"{type(end).__name__}: {end}")
            fault.__cause__ = end
            result.set_exception(fault)
        rest = seconds if seconds > LONG_TURN_S else 0
        result.get_loop().call_later(rest, self._begin_turn)

    def close(self) -> None:
        """Discard unfinished tasks. Do not wait for the running step."""
        self._turns.put(None)
