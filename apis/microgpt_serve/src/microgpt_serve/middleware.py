"""Middleware before the routes: deadlines, unread bodies, checks of the host and of the API key.

If a response is sent before the body has arrived, the rest of the body is read and discarded: a
client that is still sending would lose the response if the connection were closed immediately.
`body_limits` limits the size of a body, and `scheduler` limits the number of waiting requests.

In a DNS rebinding attack, the domain of a web page resolves to the address of this service, and the
browser sends requests with that domain as Host and Origin. `Guard` checks both; Starlette's
TrustedHostMiddleware does not read Origin, and supports no address ranges.
"""

import asyncio
import re
import secrets
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microgpt import printable
from microgpt_serve.service_errors import MAX_SHOWN, ServeError, route_path

if TYPE_CHECKING:
    from microgpt_serve.service_settings import ServiceSettings

POLL_S = 0.1  # interval between checks of whether the client has disconnected, in seconds
MAX_UNREAD_BYTES = 2**24  # maximum number of bytes of an unread body to read and discard
CLOSE = (b"connection", b"close")
HEALTH, PAGE = "/health", "/"
ASSETS = "/docs/assets"  # path of the scripts and styles of /docs
NO_KEY_NEEDED = (HEALTH, "/docs", "/openapi.json")  # paths that reveal nothing about the models
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+?)\.?(:\d*)?").fullmatch
MAX_HEADER = 300  # maximum length of Host or Origin; host names have up to 253 characters


class Arrival:
    """Middleware that sets the deadline of each request, and discards unread bodies."""

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        """Wrap an app. A request must be received and answered within `timeout_s` seconds."""
        self._app, self._timeout_s = app, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set `deadline` and `look_at` (the time to check for a disconnect), and call the app."""
        if scope["type"] == "http":
            now = asyncio.get_running_loop().time()
            scope.update(deadline=now + self._timeout_s, look_at=now + POLL_S)
            names = [name for name, _ in scope["headers"]]
            if b"content-length" in names or b"transfer-encoding" in names:
                body = _Body(receive, send, scope["deadline"])
                receive, send = body.receive, body.send
        await self._app(scope, receive, send)


class _Body:
    """Receives a request body until the deadline, and sends the response to the request."""

    def __init__(self, receive: Receive, send: Send, deadline: float) -> None:
        self._receive, self._send, self._deadline = receive, send, deadline
        self._has_more = True

    async def receive(self) -> Message:
        """Receive a chunk of the body. Raise ServeError if it does not arrive in time."""
        if not self._has_more:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise ServeError(408, "the body of the request did not arrive in time") from None
        self._has_more = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a chunk of the response; before the last chunk, read the rest of the body."""
        if self._has_more and message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], CLOSE]}
        elif self._has_more and not message.get("more_body"):
            await self._send({**message, "more_body": True})
            n_bytes, message = 0, {"type": "http.response.body"}
            with suppress(ServeError):
                while self._has_more and n_bytes < MAX_UNREAD_BYTES:
                    n_bytes += len((await self.receive()).get("body", b""))
        await self._send(message)


@lru_cache(maxsize=1000)
def host_of(authority: str) -> str:
    """Return the normalised host of a Host header without the port, or "" for an invalid header.

    >>> host_of("LocalHost.:8080"), host_of("[0::1]:80")
    ('localhost', '::1')
    """
    found = _AUTHORITY(authority.lower())
    if found is None:
        return ""
    host = found[1].strip("[]")
    return str(address_of(host) or (host if host == found[1] else ""))


@lru_cache(maxsize=1000)
def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback name or address: localhost, 127.0.0.0/8, ::1."""
    address = address_of(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """Parse a host as an IP address; return None if it is a name."""
    with suppress(ValueError):
        return ip_address(host)
    return None


def foreign_origin(origin: str) -> ServeError:
    """Return the error for an origin that is not allowed to use the service."""
    remedy = "add it to MICROGPT_CORS_ORIGINS"
    if origin == "null":  # sent by a page that is a local file or in a sandboxed frame
        remedy = "serve the page over http, or set MICROGPT_CORS_ORIGINS to *"
    return ServeError(403, f"the origin {printable(origin, MAX_SHOWN)} is not allowed; {remedy}")


class Cors(CORSMiddleware):
    """Starlette's CORS middleware, with refusals in the error format of the service."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the response to a preflight request; raise ServeError for a foreign origin."""
        if not self.is_allowed_origin(request_headers["origin"]):
            raise foreign_origin(request_headers["origin"])
        return super().preflight_response(request_headers)


class Guard:
    """Middleware that refuses foreign hosts and origins, and requests without the API key."""

    def __init__(self, app: ASGIApp, settings: "ServiceSettings") -> None:
        """Wrap an app with the checks that the settings require."""
        self._app, self._settings = app, settings
        key = settings.api_key
        self._key = key.get_secret_value().encode() if key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, or refuse it."""
        error = self._refusal(scope) if scope["type"] == "http" else None
        app = error.response(route_path(scope)) if error else self._app
        await app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ServeError | None:
        path, given = route_path(scope), b""
        for name, value in scope["headers"]:  # check every Host and Origin, even if repeated
            if name == b"authorization":
                given = value
            if not self._settings.checks_hosts:
                continue
            text = value.decode("latin-1")
            if name == b"host" and not self._allows(text, is_health_check=path == HEALTH):
                message = f"the host {printable(text, MAX_SHOWN)} is not allowed"
                return ServeError(403, f"{message}; add it to MICROGPT_ALLOWED_HOSTS")
            is_listed = bool({text, "*"} & {*self._settings.cors_origins})
            if name == b"origin" and not (is_listed or self._allows(text.partition("://")[2])):
                return foreign_origin(text)
        scheme, _, token = given.partition(b" ")
        is_key = self._key is None or (
            secrets.compare_digest(token.strip(), self._key) and scheme.lower() == b"bearer"
        )
        scope["is_authorised"] = is_key
        is_open = path in NO_KEY_NEEDED or path.startswith(f"{ASSETS}/")
        if is_key or is_open or (path == PAGE and not given):
            return None
        message = "the API key is missing or wrong; send Authorization: Bearer KEY"
        return ServeError(401, message, headers={"www-authenticate": "Bearer"})

    def _allows(self, authority: str, *, is_health_check: bool = False) -> bool:
        host = host_of(authority) if len(authority) <= MAX_HEADER else ""
        is_allowed = host in self._settings.allowed_hosts or is_loopback(host)
        return is_allowed or (is_health_check and address_of(host) is not None)
