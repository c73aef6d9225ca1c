"""Error responses in JSON: a sentence and, in OpenAI's format, the name of the invalid field.

The body of an error response is `{"error": "sentence"}`. Routes under /v1/ use OpenAI's format.
"""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from microgpt import MicrogptError, PluginError, printable

LOG = logging.getLogger("microgpt_serve")
MAX_SHOWN = 80  # maximum number of characters to quote from an invalid value
# Replacements for pydantic's messages, by the type of the error or the first word of the type.
RULES = {
    "missing": "is missing",
    "bool": "must be true or false",
    "float": "must be a number",
    "int": "must be an integer",
    "list": "must be a list",
    "string": "must be a string",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "too_long": "must have at most {max_length} items",
    "too_short": "must not be empty",
}


class ServeError(HTTPException):
    """An error that the service sends to the client."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,  # name of the invalid field in the request body
        code: str | None = None,  # the field `code` of an error in OpenAI's format
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.field = field
        self.code = "invalid_api_key" if status == 401 else code

    def response(self, path: str) -> Response:
        """Return the error response, in OpenAI's format if the path starts with /v1/."""
        body = self.openai_body() if path.startswith("/v1/") else to_json({"error": self.detail})
        return Response(body, self.status_code, self.headers, "application/json")

    def openai_body(self) -> bytes:
        """Return the response body in the format of OpenAI's API."""
        kind = "server_error" if self.status_code >= 500 else "invalid_request_error"
        error = {"message": self.detail, "type": kind, "param": self.field, "code": self.code}
        return to_json({"error": error})


class QueueFullError(ServeError):
    """Raised when too many requests are waiting."""

    def __init__(self) -> None:
        super().__init__(503, "the queue is full; try again later", headers={"retry-after": "1"})


def as_serve_error(error: Exception) -> ServeError:
    """Return the error to send to the client for an exception; log an unexpected exception."""
    match error:
        case ServeError():
            return error
        case ValidationError() | RequestValidationError():
            problem = error.errors()[0]
            message = sentence(problem)
            code = {"unsupported": "unsupported_parameter", "unknown": "unknown_parameter"}
            field = field_path(problem) or None
            return ServeError(400, message, field=field, code=code.get(problem["type"]))
        case ClientDisconnect():
            return ServeError(499, "the client disconnected")
        case HTTPException():
            return ServeError(error.status_code, str(error.detail), headers=error.headers)
        case MicrogptError():
            return ServeError(500 if isinstance(error, PluginError) else 400, str(error))
    LOG.error("internal error", exc_info=error)
    return ServeError(500, "internal server error; see the log of the service")


async def handle_error(request: Request, error: Exception) -> Response:
    """Return the error response for an exception."""
    path = route_path(request.scope)
    found = as_serve_error(error)
    if not isinstance(error, ServeError) and found.status_code == 404:
        addresses = ", ".join(request.app.state.service.addresses)
        found.detail = f"{printable(path)} does not exist; use one of {addresses}"
    elif found.status_code == 405:
        found.detail = f"{printable(path)} does not support {request.method:.20}"
    return found.response(path)


def route_path(scope: Scope) -> str:
    """Return the path of a request without the prefix of its app (`--root-path`, or a mount)."""
    path: str = scope["path"]
    prefix = scope.get("root_path", "").rstrip("/")
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path


def sentence(problem: Mapping[str, Any], *, name: str = "", is_secret: bool = False) -> str:
    """Return an entry of `ValidationError.errors()` as a sentence with field, rule and value.

    For example, `temperature must be greater than or equal to 0, got -0.5`.
    """
    kind, value = problem["type"], problem["input"]
    if kind == "json_invalid":
        return f"the body is not valid JSON: {problem['ctx']['error']}"
    if rule := RULES.get(kind) or RULES.get(kind.partition("_")[0]):
        rule = rule.format_map(problem.get("ctx", {}))
    else:
        rule = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    text = f"{name or field_path(problem) or 'the body'} {rule}"
    if is_secret or not rule.startswith("must"):  # the value is secret or missing
        return text
    return f"{text}, got {len(value) if kind.endswith('too_long') else shown(value)}"


def field_path(problem: Mapping[str, Any]) -> str:
    """Return the location of a validation error as a path such as `messages[1].role`."""
    place = ""
    for part in (*problem["loc"], *problem.get("ctx", {}).get("field", ())):
        place += f"[{part}]" if isinstance(part, int) else f".{printable(part, MAX_SHOWN)}"
    return place.lstrip(".")


def shown(value: object) -> str:
    """Return a value as shortened JSON, or the type of a non-empty list or object."""
    if value and isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return printable(to_json(value, inf_nan_mode="constants").decode(), MAX_SHOWN)
