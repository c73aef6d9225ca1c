"""The log of uvicorn with request ids, and the middleware that sets them and counts requests."""

import itertools
import logging
import re
import secrets
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microgpt import printable
from microgpt_serve.errors import as_serve_error, route_path

ID_HEADER = b"x-request-id"
MAX_CHARS = 2000  # maximum number of characters per log message and line of a traceback
REQUEST_ID = ContextVar("request_id", default="")
_IS_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch


class RequestLog:
    """Middleware that gives each request an id, and counts it."""

    def __init__(self, app: ASGIApp, count: Callable[[str, int, float], None]) -> None:
        """Wrap an app. `count(route, status, seconds)` is called for each request."""
        self._app, self._count = app, count
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 0
        # The client's request id if it can be logged safely.
        given = (value for name, value in scope["headers"] if name == ID_HEADER and _IS_ID(value))
        request_id = next(given, b"").decode() or f"{self._prefix}-{next(self._numbers):x}"
        REQUEST_ID.set(request_id)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (ID_HEADER, request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if status:  # an error response cannot be sent after the response has started
                raise
            await as_serve_error(error).response(route_path(scope))(scope, receive, send_with_id)
        finally:
            status = scope.get("outcome", status) or 500  # `EventStream` sets it on errors
            # Path template of the route; unset if a middleware refused the request.
            route = getattr(scope.get("route"), "path_format", route_path(scope))
            self._count(route, status, perf_counter() - started)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return the time, the message and the request id, followed by the traceback, if any."""
        lines = [f"{record.levelname.lower()}: {record.getMessage()}"]
        if record.name == "uvicorn.access":
            lines = [printable(record.getMessage(), 200)]
        if request_id := REQUEST_ID.get():
            lines[0] += f" {request_id}"
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        message = "\n    ".join(printable(line, MAX_CHARS) for line in lines)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"{now} {message}"


def set_up_logs() -> None:
    """Have this process log to stderr, as text."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logging.raiseExceptions = False  # a full disk must not produce a traceback per line
    logging.captureWarnings(True)
    warnings.formatwarning = lambda warning, *place: str(warning)  # without a line of source
    logging.getLogger().handlers = [handler]  # also logs warnings from asyncio and other libraries
    levels = {"microgpt_serve": "INFO", "uvicorn.access": "INFO", "uvicorn.error": "CRITICAL"}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
