"""Check of Host and Origin, against DNS rebinding.

In a DNS rebinding attack, the domain of a web page resolves to the address of this service, and the
browser sends requests with that domain as Host and Origin. Starlette's TrustedHostMiddleware does
not support address ranges, Origin headers or the service's error format.
"""

import re
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.types import Scope

from microgpt import printable
from microgpt_serve.errors import MAX_SHOWN, ServeError, route_path
from microgpt_serve.middleware.guard import HEALTH

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
    return str(_address(host) or (host if host == found[1] else ""))


@lru_cache(maxsize=1000)
def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback name or address: localhost, 127.0.0.0/8, ::1."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    with suppress(ValueError):
        return ip_address(host)
    return None


class HostCheck:
    """Check that refuses requests unless Host and Origin are loopback or allowed."""

    def __init__(self, hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        """Allow more hosts, normalised by `host_of`, and more origins; `*` allows all origins."""
        self._hosts, self._origins = frozenset(hosts), frozenset(origins)

    def __call__(self, scope: Scope) -> ServeError | None:
        """Return the error of a request, or None if it is allowed.

        A missing Host header is allowed, because browsers always send one.
        """
        is_health_check = route_path(scope) == HEALTH
        for name, value in scope["headers"]:  # a name may occur several times
            text = value.decode("latin-1")
            if name == b"host" and not self._allows(text, is_health_check=is_health_check):
                shown = printable(text, MAX_SHOWN)
                message = f"the host {shown} is not allowed; add it to MICROGPT_ALLOWED_HOSTS"
                return ServeError(403, message)
            if name == b"origin" and not self._allows_origin(text):
                remedy = "add it to MICROGPT_CORS_ORIGINS"
                if text == "null":  # a page opened as a file, or in a sandboxed frame
                    remedy = "serve the page over http, or set MICROGPT_CORS_ORIGINS to *"
                shown = printable(text, MAX_SHOWN)
                return ServeError(403, f"the origin {shown} is not allowed; {remedy}")
        return None

    def _allows_origin(self, origin: str) -> bool:
        is_listed = not self._origins.isdisjoint((origin, "*"))
        return is_listed or self._allows(origin.partition("://")[2])

    def _allows(self, authority: str, *, is_health_check: bool = False) -> bool:
        host = host_of(authority) if len(authority) <= MAX_HEADER else ""
        is_allowed = host in self._hosts or is_loopback(host)
        return is_allowed or (is_health_check and _address(host) is not None)
