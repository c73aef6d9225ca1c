"""Run functions that take milliseconds on one thread: checks, encodings and pages.

With several threads, the event loop would often wait for the GIL.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter, sleep
from typing import Any, TypeVar

from microgpt_serve.errors import QueueFullError

TOKENS_PER_PLACE = 4096  # tokens of work per place in a queue
LONG_S = 0.008  # after a function that took longer, and may have held the GIL, the thread rests
T = TypeVar("T")


class WorkQueue:
    """Queues functions and runs them in order on one thread."""

    def __init__(self, queue_limit: int) -> None:
        """Create a queue that accepts functions while fewer than `queue_limit` places are taken."""
        self._limit = queue_limit * TOKENS_PER_PLACE
        self._n_tokens = 0  # number of tokens of all unfinished functions
        self._queue = SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None]()
        self._thread: threading.Thread | None = None

    def submit(self, function: Callable[[], T], n_tokens: int) -> asyncio.Future[T]:
        """Queue a function that takes as long as `n_tokens` tokens, and return a future.

        A function whose future is done before its turn, because the request has ended, is not
        called. Raise QueueFullError if the queue is full.
        """
        if self._n_tokens >= self._limit:
            raise QueueFullError
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._n_tokens += n_tokens

        def leave(_: asyncio.Future[T]) -> None:
            self._n_tokens -= n_tokens

        result.add_done_callback(leave)
        self._queue.put((function, result))
        if self._thread is None:
            # A daemon thread, so that a long function does not delay process exit.
            self._thread = threading.Thread(target=self._work, name="work", daemon=True)
            self._thread.start()
        return result

    def _work(self) -> None:
        """Call the functions until the queue is closed. Runs in the thread."""
        while work := self._queue.get():
            function, result = work
            if result.done():
                continue
            started, deliver = perf_counter(), result.set_result
            try:
                outcome = function()
            except BaseException as error:  # includes panics in the tokenizers library
                outcome = error if isinstance(error, Exception) else RuntimeError(repr(error))
                deliver = result.set_exception
            with suppress(RuntimeError):  # the event loop is closed
                result.get_loop().call_soon_threadsafe(_deliver, result, deliver, outcome)
            del work, function, outcome  # they may be large
            if (seconds := perf_counter() - started) > LONG_S:
                sleep(seconds)

    def close(self) -> None:
        """Discard unfinished work. Do not wait for the running function."""
        self._queue.put(None)


def _deliver(result: asyncio.Future[Any], deliver: Callable[[Any], None], outcome: Any) -> None:
    if not result.done():  # the request may have ended
        deliver(outcome)
