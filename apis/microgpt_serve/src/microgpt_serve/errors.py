"""Error responses, and one-sentence messages for pydantic's validation errors.

The body of an error response is `{"error": "message"}`. Routes under /v1/ use OpenAI's format.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.types import Scope

from microgpt import MicrogptError, PluginError, printable

MAX_SHOWN = 80  # maximum number of characters to quote from an invalid value
INTERNAL_ERROR = "internal server error; see the log of the service"
RETRY_AFTER = {"retry-after": "1"}  # seconds until the queue is typically shorter


class ServeError(Exception):
    """Exception that the service sends to the client as an error response."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,  # name of the invalid field in the request body
        code: str | None = None,  # OpenAI's name of the problem
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.field, self.headers = status, field, headers
        self.code = "invalid_api_key" if status == 401 else code

    def response(self, path: str) -> Response:
        """Return the error response, in OpenAI's format if the path starts with /v1/."""
        body = self.openai_body() if path.startswith("/v1/") else to_json({"error": str(self)})
        return Response(body, self.status, self.headers, "application/json")

    def openai_body(self) -> bytes:
        """Return the response body in the format of OpenAI's API."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"message": str(self), "type": kind, "param": self.field, "code": self.code}
        return to_json({"error": error})


class QueueFullError(ServeError):
    """Raised when too much work is waiting for a thread."""

    def __init__(self) -> None:
        super().__init__(503, "the queue is full; try again later", headers=RETRY_AFTER)


class ClientDisconnectedError(ServeError):
    """Raised when the client closes the connection before the reply is sent."""

    def __init__(self) -> None:
        super().__init__(499, "the client disconnected")


def as_serve_error(error: Exception) -> ServeError:
    """Convert an exception to a ServeError to send to the client."""
    if isinstance(error, ServeError):
        return error
    if isinstance(error, MicrogptError):
        return ServeError(500 if isinstance(error, PluginError) else 400, str(error))
    return ServeError(500, INTERNAL_ERROR)


async def handle_error(request: Request, error: Exception) -> Response:
    """Return the error response for an exception raised by the service or its libraries."""
    path = route_path(request.scope)
    if isinstance(error, HTTPException):
        shown, method = printable(path), request.method
        messages = {404: f"{shown} does not exist", 405: f"{shown} does not support {method:.20}"}
        message = messages.get(error.status_code, str(error.detail))
        error = ServeError(error.status_code, message, headers=error.headers)
    return as_serve_error(error).response(path)


def route_path(scope: Scope) -> str:
    """Return the path of a request without the prefix of its app (`--root-path`, or a mount)."""
    path: str = scope["path"]
    prefix = scope.get("root_path", "").rstrip("/")
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path


# OpenAI's codes of validation errors, keyed by pydantic error type
VALIDATION_CODES = {"unsupported": "unsupported_parameter", "extra_forbidden": "unknown_parameter"}
_RULES = {  # messages, keyed by pydantic error type
    "missing": "is missing",
    **dict.fromkeys(("too_short", "string_too_short"), "must not be empty"),
    "too_long": "must have at most {max_length} entries",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be >= {ge}",
    "greater_than": "must be > {gt}",
    "less_than_equal": "must be <= {le}",
    "less_than": "must be < {lt}",
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing"), "must be an integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    "string_type": "must be a string",
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list"),
    "bool_type": "must be true or false",
    # Only settings have these.
    "int_parsing_size": "must be 0 to 65535",  # only a port is parsed from text
    "string_pattern_mismatch": "must be * or origins such as https://a.example",
}


def validation_message(
    problem: Mapping[str, Any], *, name: str | None = None, is_secret: bool = False
) -> str:
    """Return a validation error as one sentence: `temperature must be >= 0, got -0.5`.

    `problem` is an entry of `ValidationError.errors()`. `name` defaults to the error's location.
    """
    kind, context = problem["type"], problem.get("ctx", {})
    place = name or field_path(problem["loc"])
    got = "" if is_secret or kind.startswith("string_too_") else _got(problem["input"])
    if kind == "json_invalid":
        return f"the body is not valid JSON: {context['error']}"
    if kind == "extra_forbidden":
        return f"unknown field '{printable(str(problem['loc'][-1]), MAX_SHOWN)}'"
    if kind == "unsupported":
        return f"{place} is not supported{got}; omit {place}"
    if kind == "value_error":  # raised by our validators; the message names the field
        return f"{name or field_path(problem['loc'][:-1]) + ':'} {context['error']}"
    limits = {key: int_if_whole(value) for key, value in context.items()}
    rule = _RULES.get(kind, "").format(**limits)
    return f"{place} {rule or problem['msg'].replace('Input should be', 'must be')}{got}"


def field_path(loc: tuple[int | str, ...]) -> str:
    """Return the location of a validation error as a path such as `messages[1].role`."""
    place = ""
    for part in loc:
        place += f"[{part}]" if isinstance(part, int) else f".{printable(part, MAX_SHOWN)}"
    return place.lstrip(".") or "the body"


def int_if_whole(number: Any) -> Any:
    """Convert a float without a fractional part to int. JSON does not distinguish 5.0 from 5."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _got(value: object) -> str:
    shown = value[:MAX_SHOWN] if isinstance(value, str) else value
    return f", got {shown!r:.{MAX_SHOWN}}" if isinstance(shown, str | int | float | None) else ""
