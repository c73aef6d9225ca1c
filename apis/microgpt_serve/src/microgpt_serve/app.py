"""The FastAPI app and its OpenAPI schema.

Routes are wrapped in these middlewares, listed from outermost to innermost:

AccessLogMiddleware   request ids, log, metrics
  CORSMiddleware      only if `cors_origins` is set
    Guard             protection against DNS rebinding, API key
      routes
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from microgpt import MicrogptError
from microgpt_serve.app_state import AppState
from microgpt_serve.errors import ServeError, handle_error
from microgpt_serve.middleware.access_log import AccessLogMiddleware
from microgpt_serve.middleware.guard import Check, Guard, key_check
from microgpt_serve.middleware.hosts import HostCheck
from microgpt_serve.routes import pages, status, texts
from microgpt_serve.served_models import ServedModels
from microgpt_serve.settings import ServiceSettings, read_settings

ROUTERS = (texts.router, status.router, pages.router)


def create_app(
    settings: ServiceSettings | None = None, models: ServedModels | None = None
) -> FastAPI:
    """Create an app that serves one or more models.

    Only the `microgpt-serve` command sets up logging, signal handlers and connection limits.

    Args:
        settings: Service settings (default: read from the environment).
        models: Models to serve (default: loaded from `settings.model_dir`).

    Raises:
        MicrogptError: a setting is invalid, or a model cannot be loaded.

    Examples:
        >>> from microgpt_serve import ServiceSettings, create_app
        >>> create_app(ServiceSettings(timeout_s=60)).title
        'microgpt'
    """
    settings = settings or read_settings()
    models = models or ServedModels.load(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state.scheduler.start()
        yield
        state.scheduler.close()
        state.work.close()
        state.page_work.close()

    app = FastAPI(
        title="microgpt",
        version=version("microgpt-serve"),
        description="Generate texts and chat replies.",
        lifespan=lifespan,
        exception_handlers=dict.fromkeys((ServeError, MicrogptError, HTTPException), handle_error),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        servers=[{"url": "."}],  # relative to /openapi.json, for proxies that add a path prefix
    )
    paths = ["/openapi.json"]
    for router in ROUTERS:
        for route in cast("list[APIRoute]", router.routes):
            paths.append(route.path_format)
            if "GET" in (route.methods or ()):  # in the schema, HEAD would be another operation
                both = ["GET", "HEAD"]
                app.add_api_route(route.path, route.endpoint, methods=both, include_in_schema=False)
            app.router.routes.append(route)  # matched faster than those of an included router
    state = app.state.app_state = AppState(settings, models, paths)
    checks = list[Check]()
    if settings.checks_hosts:
        checks.append(HostCheck(settings.allowed_hosts, settings.cors_origins))
    if settings.api_key:
        app.openapi = partial(_schema_with_key, app)  # type: ignore[method-assign]
        checks.append(key_check(settings.api_key.get_secret_value()))
    app.add_middleware(Guard, checks=checks)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
            max_age=86400,
        )
    app.add_middleware(AccessLogMiddleware, count=state.metrics.count_request)
    return app


def _schema_with_key(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI schema of an app that needs a key."""
    schema = FastAPI.openapi(app)
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"key": []}]
    return schema
