"""Who may come in: the API keys and the rate limit, as ASGI middleware.

The limit comes first and counts each key by itself or, without a right one, by address: so nobody
can try out keys faster than it allows. Health checks pass by both, and the description of the
service needs no key.
"""

import ipaddress
import math
import time

import limits
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from microgpt_serve.errors import ServeError
from microgpt_serve.keys import Keys

ALWAYS_OPEN = frozenset({"/health", "/ready"})
NO_KEY_NEEDED = frozenset({"/docs", "/openapi.json"})


class AuthMiddleware:
    """Lets in who has a key and has not come too often."""

    def __init__(self, app: ASGIApp, keys: Keys, rate_limit: str | None) -> None:
        self._app, self._keys = app, keys
        self._rates = limits.parse_many(rate_limit) if rate_limit else []
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage()) if rate_limit else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http" and scope["path"] not in ALWAYS_OPEN:
            key = self._keys.find(_shown(scope))
            try:
                if self._limiter is not None:
                    await self._count(self._limiter, f"key {key}" if key else _address(scope))
                if self._keys.are_needed and not key and scope["path"] not in NO_KEY_NEEDED:
                    raise ServeError(401, "send the API key: Authorization: Bearer KEY")
            except ServeError as error:
                response = error.response(scope["path"])
                if error.status == 401:
                    response.headers["www-authenticate"] = "Bearer"
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _count(self, limiter: SlidingWindowCounterRateLimiter, who: str) -> None:
        for rate in self._rates:
            if not await limiter.hit(rate, who):
                reset_time, _ = await limiter.get_window_stats(rate, who)
                wait_s = max(1, math.ceil(reset_time - time.time()))
                raise ServeError(
                    429, f"too many requests: {rate} at the most", retry_after_s=wait_s
                )


def _shown(scope: Scope) -> bytes:
    """Return what may be a key."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    shown = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, rest = shown.partition(b" ")
    return rest.strip() if scheme.lower() == b"bearer" else b""


def _address(scope: Scope) -> str:
    """Return whom to count: of IPv6 the network, in which one client has 2**64 addresses."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return f"address {host}"
    if address.ipv4_mapped:
        return f"address {address.ipv4_mapped}"
    return f"address {ipaddress.IPv6Network((address.packed, 64), strict=False)}"
