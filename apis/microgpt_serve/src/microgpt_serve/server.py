"""The service as a process, with its socket and its signals.

SIGTERM, Ctrl-C    replies that are on their way are finished, others refused; then it ends
… once more        it ends at once
SIGHUP             the model is loaded again, and the file of API keys read
"""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from microgpt_serve.app import create_app
from microgpt_serve.command import hold_reloads, release_reloads
from microgpt_serve.log import set_up_logs
from microgpt_serve.protocol import GuardedProtocol
from microgpt_serve.served_model import load_model
from microgpt_serve.service import Service
from microgpt_serve.settings import Settings

LOG = logging.getLogger("microgpt_serve")
# Connections accepted in one turn of the event loop: uvloop accepts one for each listener. While
# 16 clients sent large bodies, each on a new connection, others waited 0.5 s for theirs.
ACCEPTED = 8
BACKLOG = 2048  # connections that wait to be taken
KEEP_ALIVE_S = 65  # longer than the minute of most proxies: they should hang up first
# How long a thread that wants to go on in Python waits for another. One that has generated has a
# reply to hand over; with the usual 5 ms the first piece of a stream came 1.1 to 1.2 times as late
# (bench/serve_streams.py, three pairs of runs).
SWITCH_S = 0.001
LAST_WRITES_S = 1  # for replies that are finished to reach slow readers


def serve(settings: Settings) -> None:
    """Serve until a signal ends it.

    Raises:
        MicrogptError: the model cannot be loaded.
        OSError: the address cannot be listened at.
    """
    hold_reloads()
    sys.setswitchinterval(SWITCH_S)
    log = set_up_logs(as_json=settings.log_json)
    try:
        model = load_model(settings.model_dir, LOG.info)
        app = create_app(settings, model)
        log.on_drop = app.state.service.metrics.count_dropped_lines
        with _listen(settings.host, settings.port) as listener:
            listeners = [listener, *(listener.dup() for _ in range(ACCEPTED - 1))]
            _Server(_uvicorn_config(app, settings), app.state.service).run(listeners)
    finally:
        log.finish()


def _uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[form for one in settings.trusted_proxies for form in _forms(one)],
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=LAST_WRITES_S,
    )


def _forms(network: str) -> list[str]:
    """Return how proxies write it: one that listens to IPv4 and IPv6 at once has IPv4 as IPv6."""
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
        raise OSError(
            f"cannot listen at {host}:{port}: {reason}; choose another PORT or HOST"
        ) from error


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Server(uvicorn.Server):
    """Handles signals in a way of its own."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests, and say so: signals are listened to by now."""
        await super().startup(sockets)
        assert sockets
        # What is loaded stays, and is not looked through for garbage again and again: p99 at 32
        # connections fell from 128 ms to 18 (bench/serve_load.py).
        gc.collect()
        gc.freeze()
        host, port = sockets[0].getsockname()[:2]
        LOG.info("serving %s at http://%s:%d; see /docs", self._service.model, _in_url(host), port)
        settings = self._service.settings
        if settings.is_exposed and not settings.has_keys:
            LOG.warning("anyone who reaches %s can use it; set MICROGPT_API_KEY", host)
            if not settings.allowed_hosts:
                LOG.warning(
                    "so can a stranger's web page (DNS rebinding); set MICROGPT_ALLOWED_HOSTS to "
                    "the names that clients ask for"
                )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to signals while it is entered."""
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop}
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = self._reload

        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(handlers[signal.Signals(number)])

        before = {number: signal.signal(number, handle) for number in handlers}
        release_reloads()
        try:
            yield
        finally:
            hold_reloads()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):  # the next one ends the process at once
            signal.signal(number, signal.SIG_DFL)
        self._service.is_draining = True
        LOG.info("shutting down: replies that are on their way are finished")
        self._start(self._drain())

    async def _drain(self) -> None:
        """Wait for the replies that were promised, and not for ever for those who read them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._service.settings.timeout_s):
                while self._service.n_in_work:
                    await asyncio.sleep(0.02)
        self.should_exit = True

    def _reload(self) -> None:
        self._start(self._service.reload())

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself keeps none
        task.add_done_callback(self._tasks.discard)
