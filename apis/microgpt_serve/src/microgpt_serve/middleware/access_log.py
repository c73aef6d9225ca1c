"""ASGI middleware for request ids, the access log and request metrics."""

import asyncio
import itertools
import logging
import re
import secrets
from collections.abc import Callable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microgpt import printable
from microgpt_serve.errors import INTERNAL_ERROR, ServeError, route_path

LOG = logging.getLogger("microgpt_serve.access")
ID_HEADER = b"x-request-id"
_IS_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch


class AccessLogMiddleware:
    """Middleware that assigns request ids, writes the access log and counts requests."""

    def __init__(self, app: ASGIApp, count: Callable[[str, int, float, str], None]) -> None:
        """Wrap an app. `count(route, status, seconds, model)` is called for each request."""
        self._app, self._count = app, count
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, then log and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, path = perf_counter(), 0, route_path(scope)
        # The client's request id if it can be logged safely.
        given = (value for name, value in scope["headers"] if name == ID_HEADER and _IS_ID(value))
        request_id = next(given, b"").decode() or f"{self._prefix}-{next(self._numbers):x}"

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (ID_HEADER, request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            scope["outcome"] = 499  # the service shuts down while a slow client is reading
            if not status:
                raise
        except Exception:
            LOG.exception("internal error in request %s", request_id)
            if status:  # an error response cannot be sent after the response has started
                raise
            error = ServeError(500, INTERNAL_ERROR)
            await error.response(path)(scope, receive, send_with_id)
        finally:
            seconds = perf_counter() - started
            status = scope.get("outcome", status) or 500  # `EventStream` sets it on errors
            # Path template such as `/v1/models/{name}`; unset if a middleware refused the request.
            route = getattr(scope.get("route"), "path_format", path)
            model = scope.get("model", "")  # set by `app_state.model_of`
            self._count(route, status, seconds, model)
            if LOG.isEnabledFor(logging.INFO):
                texts = ((scope.get("client") or ("",))[0], path)
                client, shown = (printable(text).replace(" ", r"\x20") for text in texts)
                end = f"{status} {seconds * 1000:.1f}ms {request_id}"
                LOG.info(f"{client} {scope['method']} {shown} {end}")
