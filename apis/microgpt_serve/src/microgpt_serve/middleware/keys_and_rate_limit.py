"""Middleware that checks API keys and the rate limit.

The rate limit is checked first, so that it also limits attempts to guess a key. Requests are
counted per key, or per client address if there is no valid key. Health checks and pages are exempt
from the rate limit and need no key, but without one they tell nothing about the models: / is then a
form that asks for it.
"""

import hashlib
import ipaddress
import logging
import math
import os
import secrets
import stat
import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from microgpt.errors import ConfigError
from microgpt.files.regular_file import read_regular_file
from microgpt_serve.errors import ServeError, route_path

if TYPE_CHECKING:
    from limits import RateLimitItem

LOG = logging.getLogger("microgpt_serve")
HEALTH_PATHS = frozenset({"/health", "/ready"})
PAGE = "/"
NO_KEY_NEEDED = frozenset({"/docs", "/openapi.json"})
ASSETS = "/docs/assets"  # path of the scripts and styles of /docs, which need no key
MAX_FILE_BYTES = 2**20  # maximum size of the key file, enough for about 20,000 keys
KEY_RULE = "must contain only ASCII characters and no spaces"


class AuthMiddleware:
    """Middleware that refuses requests without a valid API key or over the rate limit."""

    def __init__(
        self, app: ASGIApp, keys: "ApiKeys", rate_limit: str | None, folder: str | None = None
    ) -> None:
        """Wrap an app. Processes with the same folder count requests together."""
        self._app, self._keys = app, keys
        self._rates: list[RateLimitItem] = []
        if rate_limit:
            import limits  # lazy import, because it takes 3 % of the start
            from limits.aio import strategies

            from microgpt_serve.middleware.rate_limit_storage import SqliteStorage

            self._rates = limits.parse_many(rate_limit)
            storage = SqliteStorage(f"{folder}/rate_limit.sqlite" if folder else ":memory:")
            self._limiter = strategies.SlidingWindowCounterRateLimiter(storage)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, or refuse it."""
        if scope["type"] == "http":
            try:
                await self._check(scope)
            except ServeError as error:
                await error.response(route_path(scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        path = route_path(scope)
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, token = given.partition(b" ")
        key = self._keys.find(token.strip() if scheme.lower() == b"bearer" else b"")
        scope["is_authorised"] = bool(key or not self._keys.hashes)
        if path in HEALTH_PATHS | NO_KEY_NEEDED or path.startswith(f"{ASSETS}/"):
            return
        if path == PAGE and not given:
            return
        for rate in self._rates:
            client = f"key {key}" if key else _address(scope)
            if not await self._limiter.hit(rate, client):
                reset_time, _ = await self._limiter.get_window_stats(rate, client)
                wait_s = max(1, math.ceil(reset_time - time.time()))
                message = f"too many requests; the limit is {rate}"
                raise ServeError(429, message, retry_after_s=wait_s)
        if not scope["is_authorised"]:
            message = "the API key is missing or wrong; send Authorization: Bearer KEY"
            raise ServeError(401, message, headers={"www-authenticate": "Bearer"})


class ApiKeys:
    """API keys from the environment and from a file, stored as keyed hashes."""

    def __init__(self, key: str | None, file: str | None) -> None:
        self._key, self._file = key, file
        self._secret = secrets.token_bytes(32)
        self.hashes = self.read()

    def read(self) -> frozenset[str]:
        """Read the key file and return the hashes of all keys; raise ConfigError on failure."""
        keys = [] if self._key is None else [self._key]
        if self._file is not None:
            keys += _read_keys(self._file)
        return frozenset(self._hash(key.encode()) for key in keys)

    def find(self, token: bytes) -> str | None:
        """Return the hash of a token if it is a valid key, otherwise None.

        Timing attacks are not possible, because hashes cannot be predicted without the secret.
        """
        token_hash = self._hash(token)
        return token_hash if token_hash in self.hashes else None

    def _hash(self, key: bytes) -> str:
        return hashlib.blake2b(key, key=self._secret, digest_size=16).hexdigest()


def _read_keys(file: str) -> list[str]:
    try:
        content, mode = read_regular_file(file, MAX_FILE_BYTES), os.stat(file).st_mode
    except OSError as error:
        raise ConfigError(f"{file}: the API keys cannot be read: {error.strerror}") from error
    keys = parse_keys(content.decode("utf-8-sig", "replace"), file)
    if os.name == "posix" and mode & stat.S_IROTH:
        LOG.warning("all users of this machine can read the API keys; run: chmod o-r %s", file)
    return keys


def parse_keys(text: str, name: str) -> list[str]:
    """Return the keys in a text, one per line; blank lines and # comments are skipped."""
    line_of: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() also splits at U+2028
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if not is_key(key):
            raise ConfigError(f"{name}, line {number}: a key {KEY_RULE}; write one per line")
        if key in line_of:
            raise ConfigError(f"{name}, line {number}: duplicate of the key on line {line_of[key]}")
        line_of[key] = number
    if not line_of:
        raise ConfigError(f"{name} has no API key; write one key per line")
    return list(line_of)


def is_key(text: str) -> bool:
    """Return whether a key is non-empty and can be sent in a header."""
    return bool(text) and all("!" <= char <= "~" for char in text)


def _address(scope: Scope) -> str:
    """Return the client's address or IPv6 /64 network, because one client can own a whole /64."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return f"address {host}"
    if address.ipv4_mapped:
        return f"address {address.ipv4_mapped}"
    return f"address {ipaddress.IPv6Network((address.packed, 64), strict=False)}"
