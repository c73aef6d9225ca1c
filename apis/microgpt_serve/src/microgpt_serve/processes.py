"""Serve with several processes, which answer the requests of one socket.

A first process, the parent, loads the models and sends them to the others, and gets the signals.
"""

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from fastapi import FastAPI

from microgpt.errors import ConfigError
from microgpt.resource_limits import check_memory, used_bytes
from microgpt.training.engines import prepare_engine
from microgpt_serve.app import create_app
from microgpt_serve.app_state import AppState
from microgpt_serve.background_tasks import BackgroundTasks
from microgpt_serve.log import LogHandler, set_up_logs
from microgpt_serve.metrics import share_metrics
from microgpt_serve.middleware.keys_and_rate_limit import ApiKeys
from microgpt_serve.reload import Reloader
from microgpt_serve.served_model import USES
from microgpt_serve.served_models import ServedModels
from microgpt_serve.server import (
    LAST_WRITES_S,
    GracefulServer,
    OnStart,
    announce,
    announce_stop,
    signals,
)
from microgpt_serve.settings import Settings
from microgpt_serve.supervisor import Parent, Supervisor
from microgpt_serve.systemd import keep_watchdog

LOG = logging.getLogger("microgpt_serve")
Content = tuple[ServedModels, ApiKeys]
STOP_S = LAST_WRITES_S + 1  # time for a process to end after the last running reply


class _WorkerServer(GracefulServer):
    """The server of one of several processes. It stops when the parent says so or ends."""

    def __init__(self, app: FastAPI, parent: Parent, folder: str) -> None:
        super().__init__(app)
        self._parent, self._folder = parent, folder
        self._reloader = self._state.reloader = _ReloaderOfParent(self._state, parent)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting requests, and tell the parent."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        self._parent.answer()
        self._parent.listen(
            lambda message: loop.call_soon_threadsafe(self._take, _unpacked(message)),
            lambda: loop.call_soon_threadsafe(self._on_orphaned),
        )

    async def on_tick(self, counter: int) -> bool:
        """Measure the queue for other processes, ten times per second."""
        self._state.metrics.measure_queue()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on SIGTERM. systemd may send it to all processes, as well as the parent."""
        loop = asyncio.get_running_loop()
        before = signal.signal(
            signal.SIGTERM, lambda number, frame: loop.call_soon_threadsafe(self._drain)
        )
        yield
        signal.signal(signal.SIGTERM, before)

    def _take(self, message: Content | int) -> None:
        """Take over models and keys, or end the wait for a reload with this number."""
        if isinstance(message, int):
            self._reloader.waiting.pop(message).set()
        else:
            self._state.models, keys = message
            self._state.keys.hashes = keys.hashes
            self._state.metrics.set_models(self._state.models.loaded)
        self._parent.answer()

    def _on_orphaned(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._state.is_draining:  # the parent has received a second signal
            os._exit(1)
        self._drain()


class _ReloaderOfParent(Reloader):
    """Lets the parent reload, for all processes."""

    def __init__(self, state: AppState, parent: Parent) -> None:
        super().__init__(state)
        self._parent = parent
        self._numbers = itertools.count()
        self.waiting: dict[int, asyncio.Event] = {}  # by number of the request

    async def reload(self, name: str | None = None) -> None:
        """Return once all processes have what the parent has reloaded."""
        number = next(self._numbers)
        is_done = self.waiting[number] = asyncio.Event()
        self._parent.ask(pickle.dumps((number, name)))
        await is_done.wait()


def _serve_in_process(
    number: int, pipe: Connection, settings: Settings, listener: socket.socket, folder: str
) -> None:
    """Serve what the parent sends. Runs in each of several processes."""
    gc.disable()  # until the server has started
    parent, log = Parent(pipe), set_up_logs(as_json=settings.log_json)
    try:
        models, keys = _unpacked(parent.receive())
        share_metrics(folder, str(number))
        app = create_app(settings, models, keys=keys, folder=folder)
        log.on_drop = app.state.app_state.metrics.dropped_lines.inc
        _WorkerServer(app, parent, folder).run_on(listener)
    except EOFError:
        shutil.rmtree(folder, ignore_errors=True)
    except Exception:
        LOG.exception("a process cannot serve")
        sys.exit(1)
    finally:
        log.finish()


def _unpacked(message: bytes) -> Any:
    """Return a message of the parent, with the kernels of its models in memory."""
    content = pickle.loads(message)
    if not isinstance(content, int):
        dtypes = {model.gpt.compiled.dtype for model in content[0].loaded}
        prepare_engine("compiled", *dtypes, uses=USES)
    return content


class _Parent:
    """The process that starts the others, reloads for all of them and stops them."""

    def __init__(
        self,
        settings: Settings,
        models: ServedModels,
        listener: socket.socket,
        folder: str,
        on_start: OnStart,
    ) -> None:
        self.state = AppState(settings, models, [], folder=folder)
        self._listener, self._on_start = listener, on_start
        self._reloader = Reloader(self.state, self._publish)
        arguments = (settings, listener, folder)
        self._supervisor = Supervisor(
            settings.processes, _serve_in_process, arguments, self._content(), self._reload
        )
        self._tasks = BackgroundTasks()

    async def run(self) -> None:
        """Run the processes until a signal stops them."""
        settings, stopped = self.state.settings, asyncio.Event()
        await self._supervisor.start()

        def stop() -> None:
            announce_stop()
            stopped.set()

        with signals(stop, lambda: self._tasks.start(self._reloader.reload())):
            announce(self.state, self._listener, self._on_start)
            self._tasks.start(keep_watchdog())
            await stopped.wait()
            await self._supervisor.stop(settings.timeout_s + STOP_S)

    def _content(self) -> bytes:
        return pickle.dumps((self.state.models, self.state.keys))

    async def _publish(self) -> None:
        await self._supervisor.update(self._content())

    async def _reload(self, request: bytes) -> bytes:
        """Reload for a process, and return the number of its request."""
        number, name = pickle.loads(request)
        await self._reloader.reload(name)
        return pickle.dumps(number)


def serve_with_processes(
    settings: Settings,
    models: ServedModels,
    listener: socket.socket,
    log: LogHandler,
    on_start: OnStart,
) -> None:
    """Serve requests with several processes until a signal stops them.

    Raises:
        ConfigError: There is not enough memory, or this is Windows.
        OSError: A process cannot start.
    """
    _check_processes(settings.processes)
    # A folder in memory, if possible: the metrics change with each request.
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(
        prefix="microgpt-", dir=in_memory, ignore_cleanup_errors=True
    ) as folder:
        share_metrics(folder, "parent")
        parent = _Parent(settings, models, listener, folder, on_start)
        log.on_drop = parent.state.metrics.dropped_lines.inc
        asyncio.run(parent.run())


def _check_processes(n: int) -> None:
    """Raise ConfigError if several processes cannot run here."""
    if sys.platform == "win32":
        raise ConfigError(f"MICROGPT_PROCESSES must be 1 on Windows, got {n}")
    check_memory(n * used_bytes(), f"serving with {n} processes", "use fewer processes")
