"""Run the app as a server process: sockets, signals, graceful shutdown and reload.

SIGTERM, Ctrl-C    finish running replies, refuse new requests, then exit
second signal      exit at once
SIGHUP             reload the models and the API-key file
"""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from itertools import chain
from types import FrameType

import uvicorn

from microgpt_serve.app import create_app
from microgpt_serve.app_state import AppState
from microgpt_serve.command import block_sighup, unblock_sighup
from microgpt_serve.log import set_up_logs
from microgpt_serve.protocol import LimitedProtocol
from microgpt_serve.served_models import ServedModels
from microgpt_serve.settings import Settings

LOG = logging.getLogger("microgpt_serve")
# uvloop accepts one connection per listener and event-loop iteration. With one listener, clients
# waited 0.5 s to connect while 16 other clients sent large bodies, each on a new connection.
N_LISTENERS = 8
BACKLOG = 2048  # maximum number of connections waiting to be accepted
KEEP_ALIVE_S = 65  # idle timeout, longer than 60 s so that proxies usually close first
# Switch interval of the GIL in seconds during generation. With the default of 5 ms, the
# first event of a stream took 1.1 to 1.2 times as long (bench/serve_streams.py, three runs).
SWITCH_S = 0.001
LAST_WRITES_S = 1  # time at shutdown for slow clients to read finished replies


def serve(settings: Settings, on_start: Callable[[str], None] = lambda url: None) -> None:
    """Serve requests until a signal stops the server.

    Args:
        on_start: called with the URL, in a thread, once the service accepts requests.

    Raises:
        MicrogptError: No model can be loaded.
        OSError: The port cannot be opened.
    """
    sys.setswitchinterval(SWITCH_S)
    log = set_up_logs(as_json=settings.log_json)
    try:
        app = create_app(settings, ServedModels.load(settings))
        log.on_drop = app.state.app_state.metrics.dropped_lines.inc
        with _listen(settings.host, settings.port) as listener:
            listeners = [listener, *(listener.dup() for _ in range(N_LISTENERS - 1))]
            config = uvicorn.Config(
                app,
                http=LimitedProtocol,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(chain(*map(_with_ipv6_form, settings.trusted_proxies))),
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=LAST_WRITES_S,
            )
            _Server(config, app.state.app_state, on_start).run(listeners)
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
    """A uvicorn server that shuts down gracefully on SIGTERM and reloads the models on SIGHUP."""

    def __init__(
        self, config: uvicorn.Config, state: AppState, on_start: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._state, self._on_start = state, on_start
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting requests and log the address. Signal handlers are already installed."""
        await super().startup(sockets)
        assert sockets
        # Exclude loaded objects from garbage collection: p99 latency at 32 connections fell from
        # 128 ms to 18 ms (bench/serve_load.py).
        gc.freeze()
        gc.enable()
        host, port = sockets[0].getsockname()[:2]
        in_url = f"[{host}]" if ":" in host else host
        url = f"http://{in_url}:{port}"
        LOG.info("serving %s at %s", self._state.models, url)
        threading.Thread(target=self._on_start, args=(url,), name="on_start", daemon=True).start()
        settings = self._state.settings
        if settings.is_exposed and not settings.has_keys:
            LOG.warning(
                "anyone who can connect to %s can use the service; set MICROGPT_API_KEY", host
            )
            if not settings.allowed_hosts:
                LOG.warning(
                    "web pages can access the service through DNS rebinding; set "
                    "MICROGPT_ALLOWED_HOSTS to the host names that clients use"
                )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals on the event loop."""
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop}
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = lambda: self._start(self._state.reloader.reload())

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

    def _stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):  # a second signal ends the process at once
            signal.signal(number, signal.SIG_DFL)
        self._state.is_draining = True
        LOG.info("shutting down; waiting for running requests to finish")
        self._start(self._drain())

    async def _drain(self) -> None:
        """Wait until running replies finish or time out, then let uvicorn exit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._state.settings.timeout_s):
                while self._state.n_running:
                    await asyncio.sleep(0.02)
        self.should_exit = True

    def _start(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)  # the event loop keeps only weak references to tasks
        task.add_done_callback(self._tasks.discard)
