"""Read a request's body up to a limit, then validate it strictly.

A route of this class calls its function with the validated body and the request. FastAPI's own way
parses the body into Python objects first, which lets NaN, half characters and deep nesting in;
/docs is made from the function's signature as ever.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from microgpt_serve.error_format import field_of, sentence
from microgpt_serve.errors import RETRY_AFTER_S, ClientGoneError, ServeError
from microgpt_serve.schemas import MOST_CHARACTERS
from microgpt_serve.service import Service, service_of

JSON_TYPE = "application/json"
MOST_LISTED = 1000  # problems, of which the first is told
MOST_INLINE_BYTES = 16_384  # validated on the event loop, in about a millisecond at the most
# Validation holds Python's lock. Its time grows with the values of a body, not with its bytes: so
# the signs that come with each value are counted first: 32,768 take about 10 ms.
MOST_SIGNS = 32_768
MOST_ESCAPES = 2 * MOST_CHARACTERS  # a character may be two \\uXXXX
SMALL_BYTES = 65_536  # of a body: accepted even if large ones fill the memory
PIECE_S = 0.002  # between two pieces of large bodies, whoever sends them
MOST_BODIES = 16  # of the largest size, in memory at once


class BodyRoute(APIRoute):
    """A route whose function takes a body and the request, in this order."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        function = self.endpoint
        body_model: type[BaseModel] = next(iter(function.__annotations__.values()))

        async def handle(request: Request) -> Response:
            service = service_of(request)
            service.check_open()
            _check_headers(request)
            body = bytearray()
            try:
                await _read_into(body, request, service)
                if len(body) <= MOST_INLINE_BYTES:
                    checked = _validated(body_model, body)
                else:
                    checked = await service.aside(partial(_validated, body_model, body))
            except asyncio.CancelledError:  # the process ends, and the client is slow
                raise service.closing() from None
            finally:
                service.n_body_bytes -= len(body)
            response: BaseModel | Response = await function(checked, request)
            if isinstance(response, Response):
                return response
            return Response(response.model_dump_json(), media_type=JSON_TYPE)

        return handle


def _validated(body_model: type[BaseModel], body: bytearray) -> BaseModel:
    try:
        return body_model.model_validate_json(body)
    except ValidationError as error:
        raise _first_problem(error) from None


def _first_problem(error: ValidationError) -> ServeError:
    """Return one sentence; to list all unknown fields of a large body would take seconds."""
    n_problems = error.error_count()
    if n_problems > MOST_LISTED:
        return ServeError(400, f"{n_problems} fields are unknown, wrong or missing")
    problem = error.errors(include_url=False)[0]
    return ServeError(400, sentence(problem), field=field_of(problem))


def _check_headers(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    if content_type != JSON_TYPE:
        kind = content_type.partition(";")[0].strip().lower()
        if kind != JSON_TYPE and not (kind.startswith("application/") and kind.endswith("+json")):
            raise ServeError(415, f"the body must be JSON: Content-Type: {JSON_TYPE}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ServeError(415, "the body must not be compressed; send no Content-Encoding")


async def _read_into(body: bytearray, request: Request, service: Service) -> None:
    """Read the body; raise ServeError as soon as it has too much, or all bodies together have."""
    most = service.settings.max_body_bytes
    length = request.headers.get("content-length", "")
    n_announced = int(length) if length.isdecimal() and len(length) < 20 else 0
    n_counted = n_signs = n_escapes = 0
    more = True
    while True:
        if max(n_announced, len(body)) > most:
            raise ServeError(413, f"the body is larger than {most} bytes")
        if len(body) > SMALL_BYTES:  # before it is refused, too: else refusals come in bursts
            async with service.large_pieces:
                await asyncio.sleep(PIECE_S)
        if len(body) > MOST_INLINE_BYTES:
            new = body[n_counted:]
            n_counted, n_escapes = len(body), n_escapes + new.count(b"\\")
            n_signs += sum(map(new.count, b"{[:,"))
            if n_signs > MOST_SIGNS or n_escapes > MOST_ESCAPES:
                most_of = f"{MOST_SIGNS} of the characters {{ [ : , or {MOST_ESCAPES} backslashes"
                raise ServeError(413, f"the body has more than {most_of}")
        if len(body) > SMALL_BYTES and service.n_body_bytes > MOST_BODIES * most:
            reason = "too many large bodies are being sent; try again soon"
            raise ServeError(503, reason, retry_after_s=RETRY_AFTER_S)
        if not more:
            return
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        piece = message.get("body", b"")
        body += piece
        service.n_body_bytes += len(piece)
        more = message.get("more_body", False)
