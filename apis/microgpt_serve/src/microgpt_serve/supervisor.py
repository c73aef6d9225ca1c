"""Keep several processes with the same task running: start, update, replace and stop them.

uvicorn's `Multiprocess` reloads by replacing processes, which would close connections, and its
processes outlive a parent that is killed.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from microgpt_serve.background_tasks import BackgroundTasks

LOG = logging.getLogger("microgpt_serve")
CONTEXT = get_context("spawn")  # a fork would copy locks that other threads hold
SHORT_S, LONGEST_DELAY_S = 10.0, 30.0  # after two short lives, replacements wait ever longer
UPDATE_S = 120.0  # timeout for a process to take an update over


class Supervisor:
    """Several processes that call a function with a number, a pipe and further arguments.

    The parent sends messages through the pipe: first what a process needs to start, then updates.
    The process answers each with an empty message once it has taken effect. Its other messages are
    requests. It must end when its pipe is closed, as it is when the parent has ended.
    """

    def __init__(
        self,
        n: int,
        function: Callable[..., None],
        arguments: Sequence[Any],
        content: bytes,
        on_request: Callable[[bytes], Awaitable[bytes]],
    ) -> None:
        """Prepare n processes.

        Args:
            content: first message to each.
            on_request: returns a message for the process that has made a request.
        """
        self._n, self._function, self._arguments = n, function, arguments
        self._content, self._on_request = content, on_request
        self._tasks = BackgroundTasks()
        self._all: list[_Process] = []
        self._is_stopping = False

    async def start(self) -> None:
        """Start the processes, and replace each that ends from then on.

        Raises:
            OSError: a process has ended before it was ready.
        """
        self._all = [self._started(number) for number in range(self._n)]
        await asyncio.gather(*(one.send(self._content) for one in self._all))
        for one in self._all:
            if one.has_ended.is_set():
                await self.stop(0)
                raise OSError(f"{one} before it was ready; see the log")
        for number in range(self._n):
            self._tasks.start(self._keep(number))

    async def update(self, content: bytes) -> None:
        """Send new content to all processes, and return once it has taken effect in all."""
        self._content = content
        await asyncio.gather(*(self._update(one, content) for one in self._all))

    async def stop(self, timeout_s: float) -> None:
        """Ask all processes to end; kill those that have not ended in time."""
        self._is_stopping = True
        for one in self._all:
            one.process.terminate()
        ends = [asyncio.ensure_future(one.has_ended.wait()) for one in self._all]
        await asyncio.wait(ends, timeout=timeout_s)
        for one in self._all:
            one.process.kill()
        await asyncio.gather(*ends)

    def _started(self, number: int) -> "_Process":
        return _Process(self._function, (number, *self._arguments), self._receive)

    def _receive(self, one: "_Process", request: bytes) -> None:
        async def reply() -> None:
            await one.send(await self._on_request(request))

        self._tasks.start(reply())

    async def _update(self, one: "_Process", content: bytes) -> None:
        try:
            async with asyncio.timeout(UPDATE_S):
                await one.send(content)
        except TimeoutError:  # it would go on with the old content
            LOG.error("process %s did not take an update over; ending it", one.process.pid)
            one.process.kill()

    async def _keep(self, number: int) -> None:
        """Replace a process whenever it ends."""
        clock, n_short = asyncio.get_running_loop().time, 0
        while True:
            started_at = clock()
            await self._all[number].has_ended.wait()
            if self._is_stopping:
                return
            n_short = n_short + 1 if clock() - started_at < SHORT_S else 0
            delay_s = min(LONGEST_DELAY_S, 2.0 ** (n_short - 2)) if n_short > 1 else 0
            old = self._all[number]
            LOG.error("%s; starting another in %g s", old, delay_s)
            await asyncio.sleep(delay_s)
            if self._is_stopping:
                return
            one = self._all[number] = self._started(number)
            await one.send(self._content)
            if not one.has_ended.is_set():
                LOG.info("process %s has replaced %s", one.process.pid, old.process.pid)


class _Process:
    """A process and the parent's end of its pipe. Create it on the event loop."""

    def __init__(
        self,
        function: Callable[..., None],
        arguments: Sequence[Any],
        on_request: Callable[["_Process", bytes], None],
    ) -> None:
        self._on_request = on_request
        self._loop = asyncio.get_running_loop()
        self.has_ended = asyncio.Event()
        self._lock = asyncio.Lock()  # held while content is on its way
        self._answer: asyncio.Future[None] | None = None
        self._pipe, theirs = CONTEXT.Pipe()
        number, *others = arguments
        self.process = CONTEXT.Process(
            target=function, args=(number, theirs, *others), name=f"serve-{number}", daemon=True
        )
        # The process inherits the signal mask, so that Ctrl-C and SIGHUP reach only the parent.
        resource_tracker.ensure_running()  # it would unblock SIGINT
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        threading.Thread(target=self._receive, name="process", daemon=True).start()

    def __str__(self) -> str:
        code = self.process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return f"process {self.process.pid} {how}"

    async def send(self, content: bytes) -> None:
        """Send content, and return once it has taken effect or the process has ended."""
        async with self._lock:
            if self.has_ended.is_set():
                return
            self._answer = self._loop.create_future()
            # A process that does not read must not block the event loop.
            threading.Thread(target=self._send, args=(content,), daemon=True).start()
            await self._answer

    def _send(self, content: bytes) -> None:
        with suppress(OSError):
            self._pipe.send_bytes(content)

    def _receive(self) -> None:
        """Receive messages until the process ends. Runs in a thread."""
        with suppress(RuntimeError):  # the event loop is closed
            with suppress(EOFError, OSError):
                while True:
                    if request := self._pipe.recv_bytes():
                        self._loop.call_soon_threadsafe(self._on_request, self, request)
                    else:
                        self._loop.call_soon_threadsafe(self._on_answer)
            self.process.join()
            self._loop.call_soon_threadsafe(self.has_ended.set)
            self._loop.call_soon_threadsafe(self._on_answer)

    def _on_answer(self) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(None)


class Parent:
    """A process's end of its pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def receive(self) -> bytes:
        """Wait for content and return it; raise EOFError if the parent has ended."""
        try:
            return self._pipe.recv_bytes()
        except OSError as error:
            raise EOFError from error

    def answer(self) -> None:
        """Say that the latest message has taken effect."""
        self.ask(b"")

    def ask(self, request: bytes) -> None:
        """Send a request, which the parent answers with a message."""
        with suppress(OSError):
            self._pipe.send_bytes(request)

    def listen(self, update: Callable[[bytes], object], on_end: Callable[[], object]) -> None:
        """Call functions in a thread: `update(content)` for each update, and `on_end()` last."""

        def run() -> None:
            with suppress(EOFError):
                while True:
                    update(self.receive())
            on_end()

        threading.Thread(target=run, name="parent", daemon=True).start()
