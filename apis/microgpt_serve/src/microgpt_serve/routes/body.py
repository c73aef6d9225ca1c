"""Read request bodies up to a size limit, and validate them strictly.

FastAPI first parses a body into Python objects and thus accepts NaN, lone surrogates and deep
nesting. `BodyRoute` validates the JSON text instead; /docs is still generated from signatures.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from microgpt_serve.app_state import AppState, state_of
from microgpt_serve.errors import (
    RETRY_AFTER,
    VALIDATION_CODES,
    ClientDisconnectedError,
    ServeError,
    field_path,
    validation_message,
)
from microgpt_serve.generation import run_function
from microgpt_serve.schemas import MAX_CHARACTERS

JsonObject = Mapping[str, object]
JSON_TYPE = "application/json"
_IS_JSON = re.compile(r"application/([\w.-]+\+)?json\s*(;.*)?", re.IGNORECASE).fullmatch
MAX_BODY_BYTES = 4 * 2**20
MAX_LISTED = 1000  # with more validation errors than this, only their number is reported
MAX_INLINE_BYTES = 16_384  # maximum size of a body to validate on the event loop
# Validation holds the GIL for a time that grows with the number of JSON values, not bytes. The
# punctuation is therefore counted first. A body with 16,384 such characters takes about 5 ms.
MAX_PUNCTUATION = 16_384
MAX_ESCAPES = 2 * MAX_CHARACTERS  # a character may need two \uXXXX escapes
SMALL_BYTES = 65_536  # bodies up to this size are exempt from CHUNK_S and MAX_BODIES
CHUNK_S = 0.002  # pause between chunks of large bodies, shared by all clients
MAX_BODIES = 16  # limit for all bodies in memory, as a multiple of the maximum body size


class BodyRoute(APIRoute):
    """Route that calls its function with a validated body and the request."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return a handler that reads and validates the body before calling the function."""
        function = self.endpoint
        body_model: type[BaseModel] = next(iter(function.__annotations__.values()))

        async def handle(request: Request) -> Response:
            state = state_of(request)
            if state.is_draining:
                raise state.shutdown_error()
            _check_headers(request)
            try:
                body = await _read(body_model, request)
                response: JsonObject | Response = await function(body, request)
            except asyncio.CancelledError:  # the service shuts down while a slow client is sending
                raise state.shutdown_error() from None
            if isinstance(response, Response):
                return response
            return Response(to_json(response), media_type=JSON_TYPE)

        return handle


async def _read(body_model: type[BaseModel], request: Request) -> BaseModel:
    content, state = bytearray(), state_of(request)
    try:
        await _read_into(content, request, state)
        if state.is_draining:  # the body may have taken long
            raise state.shutdown_error()
        validate = partial(_validate, body_model, content)
        n_objects = content.count(b"{")
        return await run_function(request, validate, len(content), MAX_INLINE_BYTES, n_objects)
    finally:
        state.n_body_bytes -= len(content)


def _validate(body_model: type[BaseModel], content: bytearray) -> BaseModel:
    try:
        return body_model.model_validate_json(content)
    except ValidationError as error:
        n_problems = error.error_count()
        if n_problems > MAX_LISTED:  # listing all unknown fields of a large body takes seconds
            message = f"{n_problems} fields are unknown, invalid or missing"
            raise ServeError(400, message) from None
        problem = error.errors(include_url=False)[0]
        field = field_path(problem["loc"]) if problem["loc"] else None
        code = VALIDATION_CODES.get(problem["type"])
        raise ServeError(400, validation_message(problem), field=field, code=code) from None


def _check_headers(request: Request) -> None:
    if not _IS_JSON(request.headers.get("content-type", "")):
        raise ServeError(415, f"the body must be JSON; send Content-Type: {JSON_TYPE}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ServeError(415, "the body must not be compressed; send no Content-Encoding")


async def _read_into(content: bytearray, request: Request, state: AppState) -> None:
    """Append a body to `content`. Raise ServeError if a size or memory limit is exceeded."""
    n_announced = int(request.headers.get("content-length", 0))
    n_counted = n_punctuation = n_escapes = 0
    has_more = True
    while True:
        if max(n_announced, len(content)) > MAX_BODY_BYTES:
            raise ServeError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        if len(content) > SMALL_BYTES:  # before the checks, so that rejections are also delayed
            async with state.large_body_lock:
                await asyncio.sleep(CHUNK_S)
        if len(content) > MAX_INLINE_BYTES:
            new = content[n_counted:]
            n_counted, n_escapes = len(content), n_escapes + new.count(b"\\")
            n_punctuation += sum(map(new.count, b"{[:,"))
            if n_punctuation > MAX_PUNCTUATION or n_escapes > MAX_ESCAPES:
                message = (
                    f"the body must have at most {MAX_PUNCTUATION} characters {{ [ : , in total "
                    f"and at most {MAX_ESCAPES} backslashes"
                )
                raise ServeError(413, message)
        if len(content) > SMALL_BYTES and state.n_body_bytes > MAX_BODIES * MAX_BODY_BYTES:
            message = "too many large bodies at the same time; try again later"
            raise ServeError(503, message, headers=RETRY_AFTER)
        if not has_more:
            return
        event = await request.receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnectedError
        chunk = event.get("body", b"")
        content += chunk
        state.n_body_bytes += len(chunk)
        has_more = event.get("more_body", False)
