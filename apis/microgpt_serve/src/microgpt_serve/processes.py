"""Serve with several processes, which answer the requests of one socket.

The parent loads the models. It runs this module as the other processes, and sends them messages:
pickles on stdin, first with the settings, then with models and keys whenever these change. A
process answers each with an empty line on stdout once it has taken effect. Another line is a
request for a reload. A process ends when its stdin ends, because the parent has ended.

uvicorn's `Multiprocess` reloads by replacing processes, which closes connections, and its processes
outlive a parent that is killed.
"""

import asyncio
import gc
import itertools
import json
import logging
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from microgpt.errors import ConfigError
from microgpt.resource_limits import check_memory, used_bytes
from microgpt.training.engines import prepare_engine
from microgpt_serve.app import create_app
from microgpt_serve.app_state import AppState
from microgpt_serve.log import LogHandler, set_up_logs
from microgpt_serve.metrics import share_metrics
from microgpt_serve.middleware.keys_and_rate_limit import ApiKeys
from microgpt_serve.reload import RELOAD_S, Reloader
from microgpt_serve.served_model import USES, ServedModel
from microgpt_serve.served_models import ServedModels
from microgpt_serve.server import (
    LAST_WRITES_S,
    Server,
    announce,
    handling,
    service_signals,
    start_task,
)
from microgpt_serve.settings import Settings
from microgpt_serve.sighup import block_sighup

LOG = logging.getLogger("microgpt_serve")
STOP_S = LAST_WRITES_S + 1  # time for a process to end after the last running reply
SHORT_S, LONGEST_DELAY_S = 10.0, 30.0  # after short lives, replacements wait ever longer
# Models, or None for those that have not changed, and keys. The last is a request that is done.
Message = tuple[ServedModels, ApiKeys, int | None]


def serve_with_processes(
    settings: Settings,
    models: ServedModels,
    listener: socket.socket,
    log: LogHandler,
    on_start: Callable[[str], None],
) -> None:
    """Serve with several processes until a signal stops them; see `service.serve`.

    Raises:
        ConfigError: there is not enough memory, or this is Windows.
        OSError: a process cannot start.
    """
    n = settings.processes
    if sys.platform == "win32":
        raise ConfigError(f"MICROGPT_PROCESSES must be 1 on Windows, got {n}")
    check_memory(n * used_bytes(), f"serving with {n} processes", "use fewer processes")
    # A folder in memory, if possible: the metrics change with each request.
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory("", "microgpt-", in_memory, True) as folder:
        share_metrics(folder, "parent")
        state = AppState(settings, models, [], folder=folder)
        log.on_drop = state.metrics.dropped_lines.inc
        asyncio.run(_Parent(state, listener, folder).run(on_start))


class _Parent:
    """Starts the processes, replaces those that end, and reloads models and keys for all."""

    def __init__(self, state: AppState, listener: socket.socket, folder: str) -> None:
        self._state, self._listener, self._folder = state, listener, folder
        self._reloader = Reloader(state, self._publish)
        self._published = dict(state.models.by_name)  # that all processes have
        self._workers: dict[int, _Worker] = {}
        self._stopped = asyncio.Event()

    async def run(self, on_start: Callable[[str], None]) -> None:
        """Run the processes until a signal stops them."""
        numbers = range(self._state.settings.processes)
        await asyncio.gather(*map(self._start, numbers))
        if failed := [one for one in self._workers.values() if one.has_ended.is_set()]:
            await self._stop(0)
            raise OSError(f"{failed[0]} before it was ready; see the log")
        for number in numbers:
            start_task(self._keep(number))
        gc.enable()
        with handling(service_signals(self._stopped.set, self._reloader)):
            announce(self._state, self._listener, on_start)
            await self._stopped.wait()
            await self._stop(self._state.settings.timeout_s + STOP_S)

    async def _start(self, number: int) -> None:
        """Start a process, and return once it is ready or has ended."""
        fd = self._listener.fileno()
        command = [sys.executable, "-P", "-m", __name__, str(fd), str(number), self._folder]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, pass_fds=[fd], start_new_session=True
        )  # in a session of its own, so that Ctrl-C reaches only the parent
        with suppress(FileNotFoundError, ProcessLookupError):
            # When memory runs out, Linux kills the process with the highest score, in thousandths
            # of the limit. The parent has at most a third: each process has a copy of the models.
            score = int(Path("/proc/self/oom_score_adj").read_text())
            Path(f"/proc/{process.pid}/oom_score_adj").write_text(str(min(1000, score + 400)))
        worker = self._workers[number] = _Worker(process)
        start_task(worker.receive(self._reload))
        await worker.send(pickle.dumps(self._state.settings) + self._message({}))

    async def _keep(self, number: int) -> None:
        """Replace a process whenever it ends."""
        delay_s, started_at = 0.0, monotonic()
        while True:
            worker = self._workers[number]
            await worker.has_ended.wait()
            if self._stopped.is_set():
                return
            is_short = monotonic() - started_at < SHORT_S
            delay_s = min(LONGEST_DELAY_S, max(1.0, 2 * delay_s)) if is_short else 0.0
            LOG.error("%s; starting another in %g s", worker, delay_s)
            await asyncio.sleep(delay_s)
            if self._stopped.is_set():
                return
            started_at = monotonic()
            await self._start(number)
            if not self._workers[number].has_ended.is_set():
                LOG.info("%s has replaced it", self._workers[number])

    def _message(self, known: Mapping[str, ServedModel | None], done: int | None = None) -> bytes:
        models = self._state.models
        new = {
            name: None if known.get(name) is one else one for name, one in models.by_name.items()
        }
        return pickle.dumps((ServedModels(new, models.failed), self._state.keys, done))

    async def _publish(self) -> None:
        message = self._message(self._published)
        self._published = dict(self._state.models.by_name)
        await asyncio.gather(*(one.send(message) for one in self._workers.values()))

    async def _reload(self, worker: "_Worker", request: bytes) -> None:
        number, name = json.loads(request)
        await self._reloader.reload(name)
        await worker.send(self._message(self._published, number))

    async def _stop(self, timeout_s: float) -> None:
        """Ask all processes to end; kill those that have not ended in time."""
        workers = self._workers.values()
        for one in workers:
            one.signal(signal.SIGTERM)
        ends = [asyncio.ensure_future(one.has_ended.wait()) for one in workers]
        await asyncio.wait(ends, timeout=timeout_s)
        for one in workers:
            one.signal(signal.SIGKILL)
        await asyncio.gather(*ends)


class _Worker:
    """A process, as the parent sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.has_ended = asyncio.Event()
        self._has_answered = asyncio.Event()
        self._lock = asyncio.Lock()  # held while a message is on its way

    def __str__(self) -> str:
        code = self._process.returncode
        how = "" if code is None else f" ended with status {code}"
        if code and code < 0:
            how = f" was killed by {signal.Signals(-code).name}"
        return f"process {self._process.pid}{how}"

    async def send(self, message: bytes) -> None:
        """Send a message, and return once it has taken effect or the process has ended."""
        async with self._lock:
            self._has_answered.clear()
            if self.has_ended.is_set():
                return
            assert self._process.stdin
            self._process.stdin.write(message)
            try:
                await asyncio.wait_for(self._has_answered.wait(), RELOAD_S)
            except TimeoutError:  # it would go on with the old models
                LOG.error("%s does not take over what was loaded; killing it", self)
                self.signal(signal.SIGKILL)

    async def receive(
        self, on_request: Callable[["_Worker", bytes], Coroutine[None, None, None]]
    ) -> None:
        """Receive answers and requests until the process ends."""
        assert self._process.stdout
        async for line in self._process.stdout:
            if line == b"\n":
                self._has_answered.set()
            else:
                start_task(on_request(self, line))
        await self._process.wait()
        self.has_ended.set()
        self._has_answered.set()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


def main(listener: str, number: str, folder: str) -> None:
    """Serve what the parent sends. Runs in each of the other processes."""
    gc.disable()  # until the server has started
    block_sighup()
    messages = open(0, "rb", closefd=False)  # noqa: SIM115
    share_metrics(folder, number)
    try:
        _serve(messages, socket.socket(fileno=int(listener)), folder)
    except EOFError:  # the parent has ended
        shutil.rmtree(folder, ignore_errors=True)


def _serve(messages: BinaryIO, listener: socket.socket, folder: str) -> None:
    settings = pickle.load(messages)
    log = set_up_logs(as_json=settings.log_json)
    try:
        models, keys, _ = _read(messages)
        app = create_app(settings, models, keys=keys, folder=folder)
        state: AppState = app.state.app_state
        log.on_drop = state.metrics.dropped_lines.inc
        reloader = state.reloader = _ParentReloader(state, folder)
        server = Server(app, lambda: reloader.listen(messages, server))
        server.handlers = {signal.SIGTERM: server.drain}
        server.run_on(listener)
    except EOFError:
        raise
    except Exception as error:
        if not os.path.exists(folder):  # another process has removed it: the parent has ended
            raise EOFError from error
        LOG.exception("a process cannot serve")
        sys.exit(1)
    finally:
        log.finish()


def _read(messages: BinaryIO) -> Message:
    """Return the next message, with the kernels of its models in memory."""
    try:
        message: Message = pickle.load(messages)
    except pickle.UnpicklingError as error:  # the parent has ended while it was writing
        raise EOFError from error
    prepare_engine("compiled", *{one.gpt.compiled.dtype for one in message[0].loaded}, uses=USES)
    return message


class _ParentReloader(Reloader):
    """Makes the parent reload, and takes over what it has loaded."""

    def __init__(self, state: AppState, folder: str) -> None:
        super().__init__(state)
        self._folder = folder
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Event] = {}  # for a request of this number

    async def reload(self, name: str | None = None) -> None:
        """Ask the parent to reload, and return once all processes have the result."""
        number = next(self._numbers)
        is_done = self._waiting[number] = asyncio.Event()
        _tell_parent(json.dumps((number, name)).encode() + b"\n")
        await is_done.wait()

    def listen(self, messages: BinaryIO, server: Server) -> None:
        """Tell the parent that this process is ready, and read its messages in a thread."""
        loop = asyncio.get_running_loop()
        _tell_parent(b"\n")

        def read() -> None:
            with suppress(EOFError):
                while True:
                    loop.call_soon_threadsafe(self._take, _read(messages))
            shutil.rmtree(self._folder, ignore_errors=True)
            if self._state.is_draining:  # the parent has received a second signal
                os._exit(1)
            loop.call_soon_threadsafe(server.drain)

        threading.Thread(target=read, name="parent", daemon=True).start()

    def _take(self, message: Message) -> None:
        models, keys, done = message
        old = self._state.models.by_name
        models.by_name = {name: one or old.get(name) for name, one in models.by_name.items()}
        self._state.models = models
        self._state.keys.hashes = keys.hashes
        self._state.metrics.set_models(self._state.models.by_name)
        if done is not None:
            self._waiting.pop(done).set()
        _tell_parent(b"\n")


def _tell_parent(line: bytes) -> None:
    with suppress(BrokenPipeError):  # it has ended, as the thread that reads its messages finds out
        os.write(1, line)


if __name__ == "__main__":
    main(*sys.argv[1:])
