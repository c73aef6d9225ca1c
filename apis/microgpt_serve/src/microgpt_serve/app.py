"""The app: routes, and what stands before them.

Observer          a request id, the log, the metrics
  CORS            only if origins are named
    HostCheck     against DNS rebinding
      Door        the API keys and the rate limit
        routes    generate, chat, model, health, ready, metrics; openai/ has those below /v1/
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from microgpt_serve.errors import MEANINGS, add_error_handlers, error_response
from microgpt_serve.middleware.access_log import AccessLogMiddleware
from microgpt_serve.middleware.auth import ALWAYS_OPEN, AuthMiddleware
from microgpt_serve.middleware.hosts import HostMiddleware
from microgpt_serve.routes.native import chat, generate, health
from microgpt_serve.routes.native import metrics as scrape
from microgpt_serve.routes.native import model as model_page
from microgpt_serve.routes.openai import chat_completions, completions, models
from microgpt_serve.routes.openai.schemas import OpenAIErrorResponse
from microgpt_serve.schemas import ErrorResponse, without_point
from microgpt_serve.served_model import ServedModel
from microgpt_serve.service import Service
from microgpt_serve.settings import Settings

NEVER_SENT = (404, 405, 431, 499, 500, 505)  # by a route that is there, to a client that is
WITH_BODY_ONLY = (400, 408, 413, 415, 503, 504)


def create_app(settings: Settings, model: ServedModel) -> FastAPI:
    """Return the app that serves a model."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.generation.start()
        yield
        service.generation.close()

    app = FastAPI(
        title="microgpt",
        version=version("microgpt-serve"),
        description='Text and chat from one small GPT. Errors are `{"error": "…"}`.',
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )
    for router in (chat_completions.router, completions.router):
        app.include_router(router, responses=_errors(shape=OpenAIErrorResponse))
    for router in (chat.router, generate.router):
        app.include_router(router, responses=_errors())
    for router in (model_page.router, health.router, scrape.router):
        app.include_router(router, responses=_errors(without=WITH_BODY_ONLY))
    errors = _errors(without=WITH_BODY_ONLY, shape=OpenAIErrorResponse)
    app.include_router(models.router, responses=errors)
    add_error_handlers(app)
    paths = [*_describe(app, settings), "/docs", "/openapi.json"]
    service = app.state.service = Service(settings, model, paths)
    app.add_middleware(AuthMiddleware, keys=service.keys, rate_limit=settings.rate_limit)
    if settings.checks_hosts:
        app.add_middleware(
            HostMiddleware, hosts=settings.allowed_hosts, origins=settings.cors_origins
        )
    if settings.cors_origins:
        app.add_middleware(
            _Cors,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
            max_age=86400,
        )
    app.add_middleware(AccessLogMiddleware, count=service.metrics.count_request)
    return app


def _errors(
    without: tuple[int, ...] = (), shape: type[object] = ErrorResponse
) -> dict[int | str, dict[str, object]]:
    """Return the errors of a route, for /docs."""
    return {
        status: {"model": shape, "description": meaning}
        for status, meaning in MEANINGS.items()
        if status not in (*NEVER_SENT, *without)
    }


def _describe(app: FastAPI, settings: Settings) -> list[str]:
    """Make the description that /docs shows; return the paths in it."""
    page = app.openapi()
    for path, operations in page["paths"].items():
        is_open = path in ALWAYS_OPEN
        for operation in operations.values():
            never_sent = ["422"]  # FastAPI's own, which we answer with 400
            never_sent += ["401", "429"] if is_open else []
            never_sent += [] if settings.checks_hosts else ["403"]
            for never in never_sent:
                operation["responses"].pop(never, None)
            if is_open:
                operation["security"] = []
    schemas = page["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    if settings.has_keys:
        page["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        page["security"] = [{"key": []}]
    app.openapi_schema = _with_whole_numbers(page)
    return list(page["paths"])


def _with_whole_numbers(page: Any) -> Any:
    """Return the description with 50 for 50.0: FastAPI makes a float of each limit."""
    if isinstance(page, dict):
        return {name: _with_whole_numbers(value) for name, value in page.items()}
    if isinstance(page, list):
        return [_with_whole_numbers(value) for value in page]
    return without_point(page)


class _Cors(CORSMiddleware):
    """Refuses in the shape of all errors."""

    def preflight_response(self, request_headers: Any) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code != 400:
            return response
        headers = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
        message = "this origin, method or header is not allowed"
        return error_response(400, message, path="", headers=headers)
