"""Prometheus metrics, request ids, and the log, whose messages end with the request id."""

import itertools
import logging
import re
import secrets
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import product
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microgpt import printable
from microgpt_serve.models import ServedModel
from microgpt_serve.service_errors import as_serve_error, route_path

# 499: the client disconnected before it had received the reply.
STATUSES = (200, 400, 401, 403, 404, 405, 408, 413, 415, 499, 500, 503, 504)
UNMATCHED = "unmatched"  # route label of requests that match no route
LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ID_HEADER = b"x-request-id"
MAX_CHARS = 2000  # maximum number of characters of a log message, or of a line of a traceback
REQUEST_ID = ContextVar("request_id", default="")
_IS_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch


class Metrics:
    """Metrics of one app, in a separate Prometheus registry."""

    def __init__(self, routes: Iterable[str], models: Mapping[str, ServedModel]) -> None:
        """Create the metrics for the given routes and models."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # `_created` metrics would double the number of series
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "microgpt_requests", "Requests handled.", ["route", "status"], registry=registry
        )
        self._latency = Histogram(
            "microgpt_request_seconds",
            "Seconds from the request headers to the end of the response.",
            ["route"],
            buckets=LATENCY_S,
            registry=registry,
        )
        tokens = Counter("microgpt_tokens", "Tokens generated.", ["model"], registry=registry)
        self._routes = (*routes, UNMATCHED)
        for route, status in product(self._routes, STATUSES):
            self._requests.labels(route, str(status))
            self._latency.labels(route)
        self.tokens = {name: tokens.labels(name) for name in models}
        self.queue_length = Gauge(
            "microgpt_queue_length", "Requests waiting for a generation thread.", registry=registry
        )
        info = Gauge(
            "microgpt_model_info", "The served models.", ["name", "version"], registry=registry
        )
        for name, model in models.items():
            info.labels(name, model.version).set(1)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a finished request, and record its duration."""
        route = path if path in self._routes else UNMATCHED
        self._latency.labels(route).observe(seconds)
        self._requests.labels(route, str(status)).inc()


class RequestLog:
    """Middleware that sets the id of each request, and counts the requests."""

    def __init__(self, app: ASGIApp, count: Callable[[str, int, float], None]) -> None:
        """Wrap an app. `count(route, status, seconds)` is called for each request."""
        self._app, self._count = app, count
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the id of a request, pass the request to the app, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 0
        # Use the client's request id if it can be logged safely.
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
            status = scope.get("outcome", status) or 500  # `EventStream` sets `outcome` on errors
            # The path template is unset if a middleware refused the request.
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
    """Make this process log to stderr, as text."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logging.raiseExceptions = False  # otherwise, a full disk causes a traceback per line
    logging.captureWarnings(True)
    warnings.formatwarning = lambda warning, *place: str(warning)  # omits the source line
    logging.getLogger().handlers = [handler]  # also logs warnings from asyncio and other libraries
    levels = {"microgpt_serve": "INFO", "uvicorn.access": "INFO", "uvicorn.error": "CRITICAL"}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
