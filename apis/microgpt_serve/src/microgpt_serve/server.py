"""Run the app in a process: signals and graceful shutdown.

SIGTERM, Ctrl-C    finish running replies, refuse new requests, then exit
second signal      exit at once
SIGHUP             reload the models and the API-key file
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from ipaddress import IPv4Network, IPv6Network
from itertools import chain
from types import FrameType

import uvicorn
from fastapi import FastAPI

from microgpt_serve.app_state import AppState
from microgpt_serve.protocol import LimitedProtocol
from microgpt_serve.reload import Reloader
from microgpt_serve.settings import unknown_variables
from microgpt_serve.sighup import block_sighup, unblock_sighup
from microgpt_serve.systemd import notify

LOG = logging.getLogger("microgpt_serve")
# uvloop accepts one connection per listener and event-loop iteration. With one listener, clients
# waited 0.5 s to connect while 16 other clients sent large bodies, each on a new connection.
N_LISTENERS = 8
KEEP_ALIVE_S = 65  # idle timeout, longer than 60 s so that proxies usually close first
# Switch interval of the GIL in seconds during generation. With the default of 5 ms, the
# first event of a stream took 1.1 to 1.2 times as long (three runs of the study `serve_streams`,
# last at a922fbb8).
SWITCH_S = 0.001
LAST_WRITES_S = 1  # time at shutdown for slow clients to read finished replies
Handlers = dict[signal.Signals, Callable[[], None]]
_TASKS: set[asyncio.Task[None]] = set()  # the event loop keeps only weak references to tasks


def _with_ipv6_form(network: IPv4Network | IPv6Network) -> list[str]:
    """Return a network and, if it is IPv4, its IPv4-mapped IPv6 form for dual-stack sockets."""
    if network.version == 6:
        return [str(network)]
    return [str(network), f"::ffff:{network.network_address}/{96 + network.prefixlen}"]


class Server(uvicorn.Server):
    """A uvicorn server that finishes running replies before it stops."""

    def __init__(self, app: FastAPI, on_ready: Callable[[], None]) -> None:
        """Prepare a server. `on_ready` is called once it accepts requests."""
        self._state: AppState = app.state.app_state
        self._on_ready = on_ready
        self.handlers: Handlers = {}
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

    def run_on(self, listener: socket.socket) -> None:
        """Answer the requests of a socket until a signal stops the server."""
        sys.setswitchinterval(SWITCH_S)
        listener.setblocking(False)  # else dup() makes it block in all processes that share it
        self.run([listener, *(listener.dup() for _ in range(N_LISTENERS - 1))])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting requests. Signal handlers are already installed."""
        await super().startup(sockets)
        # Exclude loaded objects from garbage collection: p99 latency at 32 connections fell from
        # 128 ms to 18 ms (bench/serve_load.py, with wrk, at a922fbb8).
        gc.freeze()
        gc.enable()
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Measure the queue, ten times per second: another process may answer /metrics."""
        self._state.metrics.measure_queue()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals on the event loop."""
        with handling(self.handlers):
            yield

    def drain(self) -> None:
        """Finish running replies, refuse new requests, then exit."""
        self._state.is_draining = True
        start_task(self._drain())

    async def _drain(self) -> None:
        """Wait until running replies finish or time out, then let uvicorn exit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._state.settings.timeout_s):
                while self._state.n_running:
                    await asyncio.sleep(0.02)
        self.should_exit = True


def announce(state: AppState, listener: socket.socket, on_start: Callable[[str], None]) -> None:
    """Log that the service accepts requests, and tell systemd."""
    host, port = listener.getsockname()[:2]
    in_url = f"[{host}]" if ":" in host else host
    url = f"http://{in_url}:{port}"
    settings = state.settings
    several = f" with {settings.processes} processes" if settings.processes > 1 else ""
    LOG.info("serving %s at %s%s", state.models, url, several)
    notify("READY=1")
    threading.Thread(target=on_start, args=(url,), name="on_start", daemon=True).start()
    for problem in unknown_variables():
        LOG.warning("%s", problem)
    if settings.is_exposed and not settings.has_keys:
        LOG.warning("anyone who can connect to %s can use the service; set MICROGPT_API_KEY", host)
        if not settings.allowed_hosts:
            LOG.warning(
                "web pages can access the service through DNS rebinding; set "
                "MICROGPT_ALLOWED_HOSTS to the host names that clients use"
            )


def service_signals(stop: Callable[[], None], reloader: Reloader) -> Handlers:
    """Return handlers that stop and reload the service. A second signal ends it at once."""

    def stop_once() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        notify("STOPPING=1")
        LOG.info("shutting down; waiting for running requests to finish")
        stop()

    handlers: Handlers = {signal.SIGTERM: stop_once, signal.SIGINT: stop_once}
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = lambda: start_task(reloader.reload())
    return handlers


@contextlib.contextmanager
def handling(handlers: Handlers) -> Iterator[None]:
    """Call the handlers of signals on the event loop. SIGHUP is blocked before and after."""
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(handlers[signal.Signals(number)])

    before = {number: signal.signal(number, handle) for number in handlers}
    if hasattr(signal, "SIGHUP") and signal.SIGHUP in handlers:
        unblock_sighup()
    try:
        yield
    finally:
        block_sighup()
        for number, handler in before.items():
            signal.signal(number, handler)


def start_task(coroutine: Coroutine[None, None, None]) -> None:
    """Run a coroutine in the background."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)
