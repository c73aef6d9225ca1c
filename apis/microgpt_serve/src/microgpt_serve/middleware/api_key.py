"""Middleware that checks the API key.

Health checks and pages need no key, but without one they tell nothing about the models: / is then a
form that asks for it.
"""

import secrets

from starlette.types import ASGIApp, Receive, Scope, Send

from microgpt_serve.errors import ServeError, route_path

HEALTH = "/health"
PAGE = "/"
ASSETS = "/docs/assets"  # path of the scripts and styles of /docs
NO_KEY_NEEDED = frozenset({HEALTH, "/docs", "/openapi.json"})


class ApiKeyMiddleware:
    """Middleware that refuses requests without the API key, if there is one."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        """Wrap an app."""
        self._app, self._key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, or refuse it."""
        if scope["type"] == "http" and self._key is not None:
            given = dict(scope["headers"]).get(b"authorization", b"")
            scheme, _, token = given.partition(b" ")
            is_bearer = scheme.lower() == b"bearer"
            is_key = secrets.compare_digest(token.strip(), self._key.encode())
            scope["is_authorised"] = is_bearer and is_key
            path = route_path(scope)
            is_open = path in NO_KEY_NEEDED or path.startswith(f"{ASSETS}/")
            if not (scope["is_authorised"] or is_open or (path == PAGE and not given)):
                message = "the API key is missing or wrong; send Authorization: Bearer KEY"
                error = ServeError(401, message, headers={"www-authenticate": "Bearer"})
                await error.response(path)(scope, receive, send)
                return
        await self._app(scope, receive, send)
