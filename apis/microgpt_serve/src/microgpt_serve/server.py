"""Run the service: load the models, open the port, and serve until a signal.

SIGTERM, Ctrl-C    finish running replies, refuse new requests, then exit
second signal      exit at once
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import warnings
from datetime import UTC, datetime
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.server import HANDLED_SIGNALS

from microgpt import printable
from microgpt_serve.app import create_app
from microgpt_serve.app_state import AppState
from microgpt_serve.protocol import LimitedProtocol
from microgpt_serve.served_models import ServedModels
from microgpt_serve.settings import ServiceSettings, unknown_variables

LOG = logging.getLogger("microgpt_serve")
# uvloop accepts one connection per listener and event-loop iteration. With one listener, clients
# waited 0.5 s to connect while 16 other clients sent large bodies, each on a new connection.
N_LISTENERS = 8
BACKLOG = 2048  # maximum number of connections waiting to be accepted
KEEP_ALIVE_S = 65  # idle timeout, longer than 60 s so that proxies usually close first
# Switch interval of the GIL in seconds during generation. With the default of 5 ms, the
# first event of a stream took 1.1 to 1.2 times as long (three runs of the study `serve_streams`,
# last at a922fbb8).
SWITCH_S = 0.001
MAX_CHARS = 2000  # maximum number of characters per log message and line of a traceback
LAST_WRITES_S = 1  # time at shutdown for slow clients to read finished replies


def serve(settings: ServiceSettings) -> None:
    """Serve requests until a signal stops the server.

    Raises:
        MicrogptError: a model cannot be loaded.
        OSError: the port cannot be opened.
    """
    set_up_logs()
    models = ServedModels.load(settings)
    with _listen(settings.host, settings.port) as listener:
        sys.setswitchinterval(SWITCH_S)
        config = uvicorn.Config(
            create_app(settings, models),
            http=LimitedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=LAST_WRITES_S,
        )
        Server(config).run([listener, *(listener.dup() for _ in range(N_LISTENERS - 1))])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {host}:{port}: {reason}; choose another PORT or HOST"
        raise OSError(message) from error


class Server(uvicorn.Server):
    """A uvicorn server that finishes running replies before it stops."""

    async def startup(self, sockets: Any = None) -> None:
        """Start accepting requests. Signal handlers are already installed."""
        self._state: AppState = cast("FastAPI", self.config.app).state.app_state
        await super().startup(sockets)
        # Exclude loaded objects from garbage collection: p99 latency at 32 connections fell from
        # 128 ms to 18 ms (bench/serve_load.py, with wrk, at a922fbb8).
        gc.freeze()
        gc.enable()
        _announce(self._state, sockets[0])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first signal; a second one ends the process at once."""
        for each in HANDLED_SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        asyncio.run_coroutine_threadsafe(self._drain(), asyncio.get_running_loop())

    async def _drain(self) -> None:
        """Wait until running replies finish or time out, then let uvicorn exit."""
        LOG.info("shutting down; waiting for running requests to finish")
        self._state.is_draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._state.settings.timeout_s):
                while self._state.n_running:
                    await asyncio.sleep(0.02)
        self.should_exit = True


def _announce(state: AppState, listener: socket.socket) -> None:
    """Log that the service accepts requests, and what is doubtful about its settings."""
    host, port = listener.getsockname()[:2]
    in_url = f"[{host}]" if ":" in host else host
    LOG.info("serving %s at http://%s:%s", state.models, in_url, port)
    for problem in unknown_variables():
        LOG.warning("%s", problem)
    settings = state.settings
    if settings.is_exposed and settings.api_key is None:
        LOG.warning("anyone who can connect to %s can use the service; set MICROGPT_API_KEY", host)
        if not settings.allowed_hosts:
            LOG.warning(
                "web pages can access the service through DNS rebinding; set "
                "MICROGPT_ALLOWED_HOSTS to the host names that clients use"
            )


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the time and the message on one line, followed by the traceback, if any."""
        lines = [record.getMessage()]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        message = "\n    ".join(printable(line, MAX_CHARS) for line in lines)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        is_access = record.name == "microgpt_serve.access" and record.levelno == logging.INFO
        return f"{now} {message}" if is_access else f"{now} {record.levelname.lower()}: {message}"


def set_up_logs() -> None:
    """Have this process log to stderr, as text."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logging.raiseExceptions = False  # a full disk must not produce a traceback per line
    logging.captureWarnings(True)
    warnings.formatwarning = lambda warning, *place: str(warning)  # without a line of source
    logging.getLogger().handlers = [handler]  # also logs warnings from asyncio and other libraries
    for name, level in (("microgpt_serve", logging.INFO), ("uvicorn", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
