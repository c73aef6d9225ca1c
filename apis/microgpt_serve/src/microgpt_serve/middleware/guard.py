"""Middleware that refuses requests before a route sees them, and the check of the API key.

Health checks and pages need no key, but without one they tell nothing about the models: / is then a
form that asks for it.
"""

import secrets
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from microgpt_serve.errors import ServeError, route_path

HEALTH = "/health"
PAGE = "/"
ASSETS = "/docs/assets"  # path of the scripts and styles of /docs
NO_KEY_NEEDED = frozenset({HEALTH, "/docs", "/openapi.json"})
Check = Callable[[Scope], ServeError | None]


class Guard:
    """Middleware that refuses a request with the error of the first check that returns one."""

    def __init__(self, app: ASGIApp, checks: Sequence[Check]) -> None:
        """Wrap an app."""
        self._app, self._checks = app, checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, or refuse it."""
        errors = (check(scope) for check in self._checks) if scope["type"] == "http" else ()
        error = next(filter(None, errors), None)
        app = error.response(route_path(scope)) if error else self._app
        await app(scope, receive, send)


def key_check(key: str) -> Check:
    """Return a check that refuses requests without the key."""

    def check(scope: Scope) -> ServeError | None:
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, token = given.partition(b" ")
        is_key = secrets.compare_digest(token.strip(), key.encode())
        scope["is_authorised"] = is_key and scheme.lower() == b"bearer"
        path = route_path(scope)
        is_open = path in NO_KEY_NEEDED or path.startswith(f"{ASSETS}/")
        if scope["is_authorised"] or is_open or (path == PAGE and not given):
            return None
        message = "the API key is missing or wrong; send Authorization: Bearer KEY"
        return ServeError(401, message, headers={"www-authenticate": "Bearer"})

    return check
