"""Every error that a client can get, in one shape: `{"error": "what was wrong"}`.

Below /v1/ the sentence stands where OpenAI's clients look for it.
"""

import json
import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from microgpt.errors import MicrogptError
from microgpt.printable import printable

LOG = logging.getLogger("microgpt_serve")
RETRY_AFTER_S = 1  # a queue is worked off, and a new process has started, in about that time

# What each status means: for /docs, and for /metrics, where those it counts are from the start.
MEANINGS: Mapping[int, str] = {
    400: "The body or a field is wrong; the sentence says which, and how it should be.",
    401: "The API key is missing or wrong.",
    403: "The Host or the Origin is not allowed.",
    404: "There is no such page.",
    405: "The page is there for another method; `Allow` names it.",
    408: "The request did not come in time.",
    413: "The body is too large.",
    415: "The body is not said to be JSON, or is compressed.",
    429: "Too many requests; `Retry-After` says when to try again.",
    431: "The headers are too large.",
    499: "The client went away before the reply (in the log and the metrics only).",
    500: "A fault of the service.",
    503: "The queue is full, or the service shuts down; `Retry-After` says when to come again.",
    504: "The reply took too long and was given up.",
    505: "The request is not HTTP/1.1 or HTTP/1.0.",
}
FAULT = "this is a fault of the service; its log tells more"
_OPENAI_TYPES = {429: "requests"}
_OPENAI_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


class ServeError(Exception):
    """An answer with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        retry_after_s: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.field = field  # of the body, which is wrong
        self.headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}

    def response(self, path: str) -> Response:
        """Return what the client gets who asked for a path."""
        return error_response(self.status, str(self), path, self.headers, self.field)


class ClientGoneError(Exception):
    """Nobody is there to get an answer."""


def error_response(
    status: int,
    message: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    field: str | None = None,
) -> Response:
    """Return an error as clients of a path expect it; field is what was wrong of the body."""
    is_openai = path.startswith("/v1/")
    body = openai_error_body(status, message, field) if is_openai else _as_json({"error": message})
    return Response(body, status, headers, "application/json")


def openai_error_body(status: int, message: str, field: str | None = None) -> bytes:
    """Return the body of an error as OpenAI's clients expect it."""
    kind = "server_error" if status >= 500 else _OPENAI_TYPES.get(status, "invalid_request_error")
    code = _OPENAI_CODES.get(status)
    return _as_json({"error": {"message": message, "type": kind, "param": field, "code": code}})


def _as_json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def add_error_handlers(app: FastAPI) -> None:
    """Have all errors of an app answered so, those of the framework too."""
    app.add_exception_handler(ServeError, _answer)
    app.add_exception_handler(ClientGoneError, _answer_nobody)
    app.add_exception_handler(MicrogptError, _answer_bad_input)
    app.add_exception_handler(HTTPException, _answer_framework)


async def _answer(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServeError)
    return error.response(request.scope["path"])


async def _answer_nobody(request: Request, error: Exception) -> Response:
    return error_response(499, "the client went away", request.scope["path"])


async def _answer_bad_input(request: Request, error: Exception) -> Response:
    return error_response(400, str(error), request.scope["path"])


async def _answer_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, method = request.scope["path"], request.method
    shown = printable(path)
    messages = {404: f"there is no {shown}", 405: f"{shown} does not take {method:.20}"}
    message = messages.get(error.status_code, str(error.detail))
    return error_response(error.status_code, message, path, error.headers)
