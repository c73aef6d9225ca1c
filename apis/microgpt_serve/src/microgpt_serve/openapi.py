"""OpenAPI schema of the service, shown at /docs."""

from typing import Any

from fastapi import APIRouter, FastAPI

from microgpt_serve.errors import STATUS_DESCRIPTIONS, int_if_whole
from microgpt_serve.middleware.auth import HEALTH_PATHS
from microgpt_serve.routes.body import BodyRoute
from microgpt_serve.routes.openai.response_schemas import OpenAIErrorResponse
from microgpt_serve.schemas import ErrorResponse
from microgpt_serve.settings import Settings

ERRORS = (401, 403, 429)
BODY_ERRORS = (400, *ERRORS, 408, 413, 415, 503, 504)
# Schemas that FastAPI adds for status 422. They are removed: the service sends 400 instead.
FASTAPI_ERROR_SCHEMAS = ("HTTPValidationError", "ValidationError")


def error_responses(router: APIRouter) -> dict[int | str, dict[str, Any]]:
    """Return the error responses to document for the routes of a router."""
    is_openai = router.routes[0].path.startswith("/v1/")  # type: ignore[attr-defined]
    shape = OpenAIErrorResponse if is_openai else ErrorResponse
    statuses = BODY_ERRORS if router.route_class is BodyRoute else ERRORS
    return {
        status: {"model": shape, "description": STATUS_DESCRIPTIONS[status]} for status in statuses
    }


def openapi_schema(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI schema of an app, without errors that the settings rule out.

    It is made on the first call, because it would be a fifth of the start of the service.
    """
    if app.openapi_schema:
        return app.openapi_schema
    schema = FastAPI.openapi(app)
    for path, operations in schema["paths"].items():
        is_health_check = path in HEALTH_PATHS
        unused = {"422"} | ({"401", "429"} if is_health_check else set())
        unused |= set() if settings.checks_hosts else {"403"}
        for operation in operations.values():
            for status in unused & operation["responses"].keys():
                del operation["responses"][status]
            if is_health_check:
                operation["security"] = []
    components = schema["components"]
    for name in FASTAPI_ERROR_SCHEMAS:
        components["schemas"].pop(name, None)
    if settings.has_keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
    app.openapi_schema = _with_whole_numbers(schema)
    return app.openapi_schema


def _with_whole_numbers(schema: Any) -> Any:
    """Convert floats such as 50.0 in a schema to integers, because FastAPI writes 50 as 50.0."""
    if isinstance(schema, dict):
        return {name: _with_whole_numbers(value) for name, value in schema.items()}
    if isinstance(schema, list):
        return [_with_whole_numbers(value) for value in schema]
    return int_if_whole(schema)
