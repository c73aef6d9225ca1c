"""Run the app as a server process: sockets, signals, graceful shutdown and reload.

SIGTERM, Ctrl-C    finish running replies, refuse new requests, then exit
second signal      exit at once
SIGHUP             reload the model and the API-key file

With several processes, the first one loads the model, receives the signals and starts the others.
They answer the requests of one socket.
"""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future, InvalidStateError
from itertools import chain
from multiprocessing.connection import Connection
from types import FrameType
from typing import TypeVar

import uvicorn
from fastapi import FastAPI

from microgpt.errors import ConfigError, MicrogptError
from microgpt.resource_limits import check_memory, used_bytes
from microgpt.training.engines import prepare_engine
from microgpt_serve.app import create_app
from microgpt_serve.app_state import AppState
from microgpt_serve.command import block_sighup, unblock_sighup
from microgpt_serve.log import LogHandler, set_up_logs
from microgpt_serve.metrics import share_metrics
from microgpt_serve.middleware.keys_and_rate_limit import ApiKeys
from microgpt_serve.processes import Parent, Processes
from microgpt_serve.protocol import LimitedProtocol
from microgpt_serve.served_model import USES, ServedModel, load_model
from microgpt_serve.settings import Settings
from microgpt_serve.systemd import keep_watchdog, notify

LOG = logging.getLogger("microgpt_serve")
# uvloop accepts one connection per listener and event-loop iteration. With one listener, clients
# waited 0.5 s to connect while 16 other clients sent large bodies, each on a new connection.
N_LISTENERS = 8
BACKLOG = 2048  # maximum number of connections waiting to be accepted
KEEP_ALIVE_S = 65  # idle timeout, longer than 60 s so that proxies usually close first
# Switch interval of the GIL in seconds during generation. With the default of 5 ms, the
# first event of a stream took 1.1 to 1.2 times as long (bench/serve_streams.py, three runs).
SWITCH_S = 0.001
RELOAD_S = 120.0  # timeout for reloading the keys or the model; a network drive may hang
LAST_WRITES_S = 1  # time at shutdown for slow clients to read finished replies
STOP_S = LAST_WRITES_S + 1  # time for a process to end after the last running reply
OnStart = Callable[[str], None]  # called with the URL
T = TypeVar("T")


def serve(settings: Settings, on_start: OnStart = lambda url: None) -> None:
    """Serve requests until a signal stops the server.

    Args:
        on_start: called with the URL, in a thread, once the service accepts requests.

    Raises:
        MicrogptError: The model cannot be loaded.
        OSError: The port cannot be opened.
    """
    log = set_up_logs(as_json=settings.log_json)
    try:
        model = load_model(settings)
        if settings.processes > 1:
            _check_processes(settings.processes)
        else:
            app = create_app(settings, model)
            log.on_drop = app.state.app_state.metrics.dropped_lines.inc
        with _listen(settings.host, settings.port) as listener:
            if settings.processes > 1:
                _serve_with_processes(settings, model, listener, log, on_start)
            else:
                _OnlyServer(app, listener, on_start).run_on(listener)
    finally:
        log.finish()


def _with_ipv6_form(network: str) -> list[str]:
    """Return a network and, if it is IPv4, its IPv4-mapped IPv6 form for dual-stack sockets."""
    parsed = ipaddress.ip_network(network)
    if parsed.version == 6:
        return [network]
    return [network, f"::ffff:{parsed.network_address}/{96 + parsed.prefixlen}"]


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {host}:{port}: {reason}; choose another PORT or HOST"
        raise OSError(message) from error


class _Server(uvicorn.Server):
    """A uvicorn server that finishes running replies before it stops."""

    def __init__(self, app: FastAPI) -> None:
        self._state: AppState = app.state.app_state
        proxies = self._state.settings.trusted_proxies
        config = uvicorn.Config(
            app,
            http=LimitedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(chain(*map(_with_ipv6_form, proxies))),
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=LAST_WRITES_S,
        )
        super().__init__(config)
        self._tasks = _Tasks()

    def run_on(self, listener: socket.socket) -> None:
        """Answer the requests of a socket until a signal stops the server."""
        sys.setswitchinterval(SWITCH_S)
        self.run([listener, *(listener.dup() for _ in range(N_LISTENERS - 1))])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting requests. Signal handlers are already installed."""
        await super().startup(sockets)
        # Exclude loaded objects from garbage collection: p99 latency at 32 connections fell from
        # 128 ms to 18 ms (bench/serve_load.py).
        gc.freeze()
        gc.enable()

    def _drain(self) -> None:
        self._state.is_draining = True
        self._tasks.start(self._finish())

    async def _finish(self) -> None:
        """Wait until running replies finish or time out, then let uvicorn exit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._state.settings.timeout_s):
                while self._state.n_running:
                    await asyncio.sleep(0.02)
        self.should_exit = True


class _OnlyServer(_Server):
    """The server of a service with one process. It reloads the model on SIGHUP."""

    def __init__(self, app: FastAPI, listener: socket.socket, on_start: OnStart) -> None:
        super().__init__(app)
        self._listener, self._on_start = listener, on_start
        self._reloader = Reloader(self._state)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting requests and log the address."""
        await super().startup(sockets)
        _announce(self._state, self._listener, self._on_start)
        self._tasks.start(keep_watchdog())

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals on the event loop."""

        def stop() -> None:
            _announce_stop()
            self._drain()

        reload = lambda: self._tasks.start(self._reloader.reload())  # noqa: E731
        with _signals(stop, reload):
            yield


class _WorkerServer(_Server):
    """The server of one of several processes. It stops when the parent says so or ends."""

    def __init__(self, app: FastAPI, parent: Parent, folder: str) -> None:
        super().__init__(app)
        self._parent, self._folder = parent, folder

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting requests, and tell the parent."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        self._parent.answer()
        self._parent.listen(
            lambda content: loop.call_soon_threadsafe(self._update, *_unpacked(content)),
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

    def _update(self, model: ServedModel, keys: ApiKeys) -> None:
        self._state.keys.hashes = keys.hashes
        self._state.model = model
        self._state.metrics.set_model(model.name, model.version)
        self._parent.answer()

    def _on_orphaned(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._state.is_draining:  # the parent has received a second signal
            os._exit(1)
        self._drain()


def _serve_in_process(
    number: int, pipe: Connection, settings: Settings, listener: socket.socket, folder: str
) -> None:
    """Serve what the parent sends. Runs in each of several processes."""
    gc.disable()  # until the server has started
    parent, log = Parent(pipe), set_up_logs(as_json=settings.log_json)
    try:
        model, keys = _unpacked(parent.receive())
        share_metrics(folder, str(number))
        app = create_app(settings, model, keys=keys, folder=folder)
        log.on_drop = app.state.app_state.metrics.dropped_lines.inc
        _WorkerServer(app, parent, folder).run_on(listener)
    except EOFError:
        shutil.rmtree(folder, ignore_errors=True)
    except Exception:
        LOG.exception("a process cannot serve")
        sys.exit(1)
    finally:
        log.finish()


def _unpacked(content: bytes) -> tuple[ServedModel, ApiKeys]:
    model, keys = pickle.loads(content)
    prepare_engine("compiled", model.gpt.compiled.dtype, uses=USES)
    return model, keys


class _Parent:
    """The process that starts the others. It loads models for all of them, and gets the signals."""

    def __init__(
        self,
        settings: Settings,
        model: ServedModel,
        listener: socket.socket,
        folder: str,
        on_start: OnStart,
    ) -> None:
        self.state = AppState(settings, model, [], folder=folder)
        self._listener, self._on_start = listener, on_start
        self._processes = Processes(
            settings.processes,
            _serve_in_process,
            (settings, listener, folder),
            self._content(),
        )
        self._tasks = _Tasks()

    async def run(self) -> None:
        """Run the processes until a signal stops them."""
        settings, stopped = self.state.settings, asyncio.Event()
        reloader = Reloader(self.state, lambda: self._processes.update(self._content()))
        await self._processes.start()

        def stop() -> None:
            _announce_stop()
            stopped.set()

        with _signals(stop, lambda: self._tasks.start(reloader.reload())):
            _announce(self.state, self._listener, self._on_start)
            self._tasks.start(keep_watchdog())
            await stopped.wait()
            await self._processes.stop(settings.timeout_s + STOP_S)

    def _content(self) -> bytes:
        return pickle.dumps((self.state.model, self.state.keys))


def _serve_with_processes(
    settings: Settings,
    model: ServedModel,
    listener: socket.socket,
    log: LogHandler,
    on_start: OnStart,
) -> None:
    # A folder in memory, if possible: the metrics change with each request.
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(
        prefix="microgpt-", dir=in_memory, ignore_cleanup_errors=True
    ) as folder:
        share_metrics(folder, "parent")
        parent = _Parent(settings, model, listener, folder, on_start)
        log.on_drop = parent.state.metrics.dropped_lines.inc
        asyncio.run(parent.run())


def _check_processes(n: int) -> None:
    """Raise ConfigError if several processes cannot run here."""
    if sys.platform == "win32":
        raise ConfigError(f"MICROGPT_PROCESSES must be 1 on Windows, got {n}")
    check_memory(n * used_bytes(), f"serving with {n} processes", "use fewer processes")


def _announce(state: AppState, listener: socket.socket, on_start: OnStart) -> None:
    """Log that the service accepts requests, and tell systemd."""
    host, port = listener.getsockname()[:2]
    in_url = f"[{host}]" if ":" in host else host
    url = f"http://{in_url}:{port}"
    settings = state.settings
    several = f" with {settings.processes} processes" if settings.processes > 1 else ""
    LOG.info("serving %s at %s%s", state.model, url, several)
    notify("READY=1")
    threading.Thread(target=on_start, args=(url,), name="on_start", daemon=True).start()
    if settings.is_exposed and not settings.has_keys:
        LOG.warning("anyone who can connect to %s can use the service; set MICROGPT_API_KEY", host)
        if not settings.allowed_hosts:
            LOG.warning(
                "web pages can access the service through DNS rebinding; set "
                "MICROGPT_ALLOWED_HOSTS to the host names that clients use"
            )


def _announce_stop() -> None:
    """Log that the service stops. A second signal ends the process at once."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    notify("STOPPING=1")
    LOG.info("shutting down; waiting for running requests to finish")


@contextlib.contextmanager
def _signals(stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """Call functions on the event loop at SIGTERM, Ctrl-C and SIGHUP."""
    loop = asyncio.get_running_loop()
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = reload

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(handlers[signal.Signals(number)])

    before = {number: signal.signal(number, handle) for number in handlers}
    unblock_sighup()
    try:
        yield
    finally:
        block_sighup()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Tasks:
    """Running tasks. The event loop itself keeps only weak references to them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


class Reloader:
    """Reloads the API keys and model of an app. On failure, the old ones stay in use."""

    def __init__(
        self, state: AppState, publish: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Reload what `state` has. `publish` is called after changes, for other processes."""
        self._state, self._publish = state, publish
        self._lock = asyncio.Lock()
        self._is_stale = False

    async def reload(self) -> None:
        """Reload the API keys and the model.

        Reloads do not overlap: calls during a reload are merged into one subsequent reload. A new
        `output` directory replaces the demo model. The demo model never replaces another model.
        """
        self._is_stale = True
        async with self._lock:
            if not self._is_stale:
                return
            self._is_stale = False
            if self._state.settings.api_keys_file is not None:
                await self._try(self._reload_keys, "the API keys are unchanged")
            await self._try(self._reload_model, f"{self._state.model} is still served")

    async def _try(self, reload: Callable[[], Awaitable[str]], otherwise: str) -> None:
        metrics = self._state.metrics
        try:
            async with asyncio.timeout(RELOAD_S) as limit:
                reloaded = await reload()
            if self._publish:
                await self._publish()
        except Exception as error:
            metrics.reloads_failed.inc()
            is_known = isinstance(error, MicrogptError) or limit.expired()
            problem = f"timed out after {RELOAD_S:g} s" if limit.expired() else error
            LOG.error("reload failed: %s; %s", problem, otherwise, exc_info=not is_known)
        else:
            metrics.reloads_ok.inc()
            LOG.info("reloaded: %s", reloaded)

    async def _reload_keys(self) -> str:
        # Do not assign in the thread: after a timeout, the thread could restore old keys.
        keys = self._state.keys
        keys.hashes = await _in_daemon_thread(keys.read)
        return f"API keys ({len(keys.hashes)})"

    async def _reload_model(self) -> str:
        settings, allow_demo = self._state.settings, self._state.model.is_demo
        model = await _in_daemon_thread(lambda: load_model(settings, allow_demo=allow_demo))
        self._state.model = model
        self._state.metrics.set_model(model.name, model.version)
        return str(model)


async def _in_daemon_thread(function: Callable[[], T]) -> T:
    """Call a function in a daemon thread, so that a hanging call does not delay process exit."""
    future: Future[T] = Future()

    def run() -> None:
        with contextlib.suppress(InvalidStateError):  # the caller has timed out
            try:
                future.set_result(function())
            except MicrogptError as error:
                future.set_exception(error)
            except BaseException as error:  # includes panics in the tokenizers library
                unknown = RuntimeError(f"{type(error).__name__}: {error}")
                unknown.__cause__ = error
                future.set_exception(unknown)

    threading.Thread(target=run, name="reload", daemon=True).start()
    return await asyncio.wrap_future(future)
