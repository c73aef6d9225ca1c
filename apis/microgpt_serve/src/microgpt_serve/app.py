"""The FastAPI app and its OpenAPI schema.

Routes are wrapped in these middlewares, listed from outermost to innermost:

Arrival         sets the deadline of a request; discards unread bodies
  RequestLog    sets request ids; counts requests for the metrics
    Cors        handles cross-origin requests; omitted if `cors_origins` is empty
      Guard     prevents DNS rebinding; checks the API key
        routes
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from microgpt import MicrogptError
from microgpt_serve import pages, routes
from microgpt_serve.middleware import ASSETS, Arrival, Cors, Guard
from microgpt_serve.models import ServedModels
from microgpt_serve.observability import RequestLog
from microgpt_serve.request import Service
from microgpt_serve.service_errors import handle_error
from microgpt_serve.service_settings import ServiceSettings, read_settings

HANDLED = (
    ClientDisconnect, HTTPException, MicrogptError, RequestValidationError, ValidationError
)  # fmt: skip


def create_app(
    settings: ServiceSettings | None = None, models: ServedModels | None = None
) -> FastAPI:
    """Create an app that serves the given models, or else those that the settings name.

    Without `settings`, the settings are read from the environment. `server.serve`, not this
    function, sets up logging, signal handlers and connection limits.

    Raises:
        MicrogptError: a setting is invalid, or a model cannot be loaded.
    """
    settings = settings or read_settings()
    models = models or ServedModels.load(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.scheduler.start()
        yield
        service.close()

    app = FastAPI(
        title="microgpt",
        version=version("microgpt-serve"),
        description="Generate texts and chat replies.",
        lifespan=lifespan,
        exception_handlers=dict.fromkeys(HANDLED, handle_error),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        servers=[{"url": "."}],  # relative to /openapi.json, so it keeps a proxy's path prefix
    )
    addresses = []
    for router in (routes.texts, routes.status, pages.router):
        for route in cast("list[APIRoute]", router.routes):
            method = min(route.methods or ())
            addresses.append(f"{method} {route.path_format}")
            if method == "GET":  # also serve HEAD, which the schema does not list
                both = ["GET", "HEAD"]
                app.add_api_route(route.path, route.endpoint, methods=both, include_in_schema=False)
            app.router.routes.append(route)  # routes added by `include_router` are slower to match
    app.mount(ASSETS, pages.assets)
    addresses.append(f"GET {app.openapi_url}")
    service = app.state.service = Service(settings, models, addresses)
    app.state.pages = {}  # maps the name of a model to a `Future` of its page
    app.add_middleware(Guard, settings=settings)
    if settings.api_key:
        app.openapi = partial(_schema_with_key, app)  # type: ignore[method-assign]
    if settings.cors_origins:
        app.add_middleware(
            Cors,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            allow_private_network=True,
            expose_headers=["Retry-After", "X-Request-ID"],
            max_age=86400,
        )
    app.add_middleware(RequestLog, count=service.metrics.count_request)
    app.add_middleware(Arrival, timeout_s=settings.timeout_s)
    return app


def _schema_with_key(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI schema of an app that requires an API key."""
    schema = FastAPI.openapi(app)
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"key": []}]
    return schema
