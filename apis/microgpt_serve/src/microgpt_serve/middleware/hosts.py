"""Middleware that checks Host and Origin to prevent DNS rebinding.

In a DNS rebinding attack, the domain of a web page resolves to the address of this service, and the
browser sends requests with that domain as Host and Origin. Starlette's TrustedHostMiddleware does
not support address ranges, Origin headers or the service's error format.
"""

import re
from functools import lru_cache
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from microgpt import printable
from microgpt_serve.errors import MAX_SHOWN, ServeError, route_path
from microgpt_serve.middleware.api_key import HEALTH

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+?)\.?(:\d*)?").fullmatch
MAX_HEADER = 300  # maximum length of Host or Origin; host names have up to 253 characters


@lru_cache(maxsize=1000)  # the cache saves 50 us per request
def host_of(authority: str) -> str:
    """Return the normalised host of a Host header without the port, or "" for an invalid header.

    >>> host_of("LocalHost.:8080"), host_of("[0::1]:80")
    ('localhost', '::1')
    """
    found = _AUTHORITY(authority.lower())
    if found is None:
        return ""
    host = found[1].strip("[]")
    return str(ip_address(host)) if _is_address(host) else host if host == found[1] else ""


@lru_cache(maxsize=1000)
def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback name or address: localhost, 127.0.0.0/8, ::1."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class HostMiddleware:
    """Middleware that refuses requests unless Host and Origin are loopback or allowed."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        """Wrap an app. `hosts` must be normalised by `host_of`; `*` allows all origins."""
        self._app, self._hosts, self._origins = app, frozenset(hosts), frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, or refuse it."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem:
            await ServeError(403, problem).response(route_path(scope))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> str | None:
        """Return the reason to refuse a request, or None if the request is allowed.

        A missing Host header is allowed, because browsers always send one.
        """
        for name, value in scope["headers"]:
            if name not in (b"host", b"origin"):
                continue
            text = value.decode("latin-1")
            if name == b"host":
                host = host_of(text) if len(text) <= MAX_HEADER else ""
                is_health_check = route_path(scope) == HEALTH and _is_address(host)
                if not (is_health_check or self._allows(host)):
                    shown = printable(text, MAX_SHOWN)
                    return f"the host {shown} is not allowed; add it to MICROGPT_ALLOWED_HOSTS"
            elif self._origins.isdisjoint((text, "*")):
                host = host_of(text.partition("://")[2]) if len(text) <= MAX_HEADER else ""
                if not self._allows(host):
                    remedy = "add it to MICROGPT_CORS_ORIGINS"
                    if text == "null":  # a page opened as a file, or in a sandboxed frame
                        remedy = "serve the page over http, or set MICROGPT_CORS_ORIGINS to *"
                    return f"the origin {printable(text, MAX_SHOWN)} is not allowed; {remedy}"
        return None

    def _allows(self, host: str) -> bool:
        return host in self._hosts or is_loopback(host)
