"""The FastAPI app: routes wrapped in these middlewares, listed from outermost to innermost.

AccessLogMiddleware   request ids, log, metrics
  CORSMiddleware      only if `cors_origins` is set
    HostMiddleware    protection against DNS rebinding
      AuthMiddleware  API keys and rate limit
        routes
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from microgpt.errors import MicrogptError
from microgpt_serve.app_state import AppState
from microgpt_serve.errors import ServeError, handle_error
from microgpt_serve.middleware.access_log import AccessLogMiddleware
from microgpt_serve.middleware.auth import AuthMiddleware
from microgpt_serve.middleware.hosts import HostMiddleware
from microgpt_serve.openapi import error_responses, openapi_schema
from microgpt_serve.routes import explain, native, pages, status
from microgpt_serve.routes.openai import completions
from microgpt_serve.served_model import ServedModel, load_model
from microgpt_serve.settings import Settings, read_settings

LOG = logging.getLogger("microgpt_serve")
ROUTERS = (
    completions.router,
    status.openai_router,
    native.router,
    explain.router,
    status.router,
)


def create_app(settings: Settings | None = None, model: ServedModel | None = None) -> FastAPI:
    """Create an app that serves a model.

    Only the `microgpt-serve` command sets up logging, signal handlers and connection limits.

    Args:
        settings: Service settings; read from the environment by default.
        model: Model to serve; loaded from `settings.model_dir` by default.

    Raises:
        MicrogptError: A setting is invalid, or the model cannot be loaded.

    Examples:
        >>> from microgpt_serve import Settings, create_app
        >>> create_app(Settings(rate_limit="5/second")).title
        'microgpt'
    """
    settings = settings or read_settings()
    model = model or load_model(settings.model_dir, LOG.info)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state.scheduler.start()
        yield
        state.scheduler.close()
        state.work.close()

    app = FastAPI(
        title="microgpt",
        version=version("microgpt-serve"),
        description='Generate texts and chat replies. Errors have the body `{"error": "…"}`.',
        lifespan=lifespan,
        exception_handlers=dict.fromkeys((ServeError, MicrogptError, HTTPException), handle_error),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        servers=[{"url": "."}],  # relative to /openapi.json, for proxies that add a path prefix
    )
    for router in ROUTERS:
        for route in cast("list[APIRoute]", router.routes):
            if "GET" in (route.methods or ()):  # in the schema, HEAD would be another operation
                app.add_api_route(
                    route.path, route.endpoint, methods=pages.READ_METHODS, include_in_schema=False
                )
        app.include_router(router, responses=error_responses(router))
    app.include_router(pages.router)
    app.openapi = partial(openapi_schema, app, settings)  # type: ignore[method-assign]
    paths = [route.path_format for router in (*ROUTERS, pages.router) for route in router.routes]  # type: ignore[attr-defined]
    state = app.state.app_state = AppState(settings, model, [*paths, "/openapi.json"])
    app.add_middleware(AuthMiddleware, keys=state.keys, rate_limit=settings.rate_limit)
    if settings.checks_hosts:
        app.add_middleware(
            HostMiddleware, hosts=settings.allowed_hosts, origins=settings.cors_origins
        )
    if settings.cors_origins:
        app.add_middleware(
            _CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
            max_age=86400,
        )
    app.add_middleware(AccessLogMiddleware, count=state.metrics.count_request)
    return app


class _CORSMiddleware(CORSMiddleware):
    """CORS middleware that reports rejected requests in the service's error format."""

    def preflight_response(self, request_headers: Any) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code != 400:
            return response
        headers = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
        message = "this origin, method or header is not allowed"
        return ServeError(400, message, headers=headers).response(path="")
