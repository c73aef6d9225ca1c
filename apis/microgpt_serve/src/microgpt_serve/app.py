"""The FastAPI app and its OpenAPI schema.

Routes are wrapped in these middlewares, listed from outermost to innermost:

AccessLogMiddleware   request ids, log, metrics
  CORSMiddleware      only if `cors_origins` is set
    HostMiddleware    protection against DNS rebinding
      ApiKeyMiddleware
        routes
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, cast

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from microgpt import MicrogptError
from microgpt_serve.app_state import AppState
from microgpt_serve.errors import STATUS_DESCRIPTIONS, ServeError, handle_error
from microgpt_serve.middleware.access_log import AccessLogMiddleware
from microgpt_serve.middleware.api_key import HEALTH, ApiKeyMiddleware
from microgpt_serve.middleware.hosts import HostMiddleware
from microgpt_serve.routes import native, pages, status
from microgpt_serve.routes.body import BodyRoute
from microgpt_serve.routes.openai import completions
from microgpt_serve.routes.openai.response_schemas import OpenAIErrorResponse
from microgpt_serve.schemas import ErrorResponse
from microgpt_serve.served_models import ServedModels
from microgpt_serve.settings import ServiceSettings, read_settings

ROUTERS = (completions.router, status.openai_router, native.router, status.router)
ERRORS = (401, 403)
BODY_ERRORS = (400, *ERRORS, 404, 408, 413, 415, 503, 504)


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
                    route.path,
                    route.endpoint,
                    methods=pages.READ_METHODS,
                    include_in_schema=False,
                    response_model_exclude_none=route.response_model_exclude_none,
                )
        app.include_router(router, responses=_error_responses(router))
    app.include_router(pages.router)
    app.openapi = partial(_openapi_schema, app, settings)  # type: ignore[method-assign]
    paths = [route.path_format for router in (*ROUTERS, pages.router) for route in router.routes]  # type: ignore[attr-defined]
    state = app.state.app_state = AppState(settings, models, [*paths, "/openapi.json"])
    key = settings.api_key.get_secret_value() if settings.api_key else None
    app.add_middleware(ApiKeyMiddleware, key=key)
    if settings.checks_hosts:
        app.add_middleware(
            HostMiddleware, hosts=settings.allowed_hosts, origins=settings.cors_origins
        )
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


def _error_responses(router: APIRouter) -> dict[int | str, dict[str, Any]]:
    """Return the error responses that the schema documents for the routes of a router."""
    is_openai = router.routes[0].path.startswith("/v1/")  # type: ignore[attr-defined]
    shape = OpenAIErrorResponse if is_openai else ErrorResponse
    statuses = BODY_ERRORS if router.route_class is BodyRoute else ERRORS
    return {one: {"model": shape, "description": STATUS_DESCRIPTIONS[one]} for one in statuses}


def _openapi_schema(app: FastAPI, settings: ServiceSettings) -> dict[str, Any]:
    """Return the OpenAPI schema of an app, without errors that cannot occur with its settings.

    The schema is built on the first call, because it would take a fifth of the startup time.
    """
    if app.openapi_schema:
        return app.openapi_schema
    schema = FastAPI.openapi(app)
    for path, operations in schema["paths"].items():
        is_health_check = path == HEALTH
        unused = {"422"} | ({"401"} if is_health_check else set())
        unused |= set() if settings.checks_hosts else {"403"}
        for operation in operations.values():
            for code in unused & operation["responses"].keys():
                del operation["responses"][code]
            if is_health_check:
                operation["security"] = []
    components = schema["components"]
    for name in ("HTTPValidationError", "ValidationError"):  # of 422; the service sends 400
        components["schemas"].pop(name, None)
    if settings.api_key:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
    app.openapi_schema = schema
    return app.openapi_schema
