"""A request's body: read up to a limit, then checked, strictly, in one go.

A route of this class calls its function with the checked body and the request. FastAPI's own way
parses the body into Python objects first, which lets NaN, half characters and deep nesting in;
/docs is made from the function's signature as ever.
This module knows nothing of what bodies mean.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from microgpt_serve.errors import ClientGoneError, ServeError
from microgpt_serve.problems import field_of, sentence
from microgpt_serve.service import service_of

JSON_TYPE = "application/json"
MOST_LISTED = 1000  # problems, of which the first is told


class BodyRoute(APIRoute):
    """A route whose function takes a body and the request, in this order."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        function = self.endpoint
        body_model: type[BaseModel] = next(iter(function.__annotations__.values()))

        async def handle(request: Request) -> Response:
            service = service_of(request)
            service.check_open()
            _check_content_type(request)
            try:
                body = await _read(request, service.settings.max_body_bytes)
            except asyncio.CancelledError:  # the process ends, and the client is slow
                raise service.closing() from None
            try:
                checked = body_model.model_validate_json(body)
            except ValidationError as error:
                raise _first_problem(error) from None
            response: BaseModel | Response = await function(checked, request)
            if isinstance(response, Response):
                return response
            return Response(response.model_dump_json(), media_type=JSON_TYPE)

        return handle


def _first_problem(error: ValidationError) -> ServeError:
    """Return one sentence; to list all unknown fields of a large body would take seconds."""
    n_problems = error.error_count()
    if n_problems > MOST_LISTED:
        return ServeError(400, f"{n_problems} fields are unknown, wrong or missing")
    problem = error.errors(include_url=False)[0]
    return ServeError(400, sentence(problem), field=field_of(problem))


def _check_content_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    if content_type != JSON_TYPE:
        kind = content_type.partition(";")[0].strip().lower()
        if kind != JSON_TYPE and not (kind.startswith("application/") and kind.endswith("+json")):
            raise ServeError(415, f"the body must be JSON: Content-Type: {JSON_TYPE}")


async def _read(request: Request, most: int) -> bytes:
    """Return the body; nothing of one that is too large is kept."""
    length = request.headers.get("content-length", "")
    n_announced = int(length) if length.isdecimal() and len(length) < 20 else 0
    pieces, n_came, n_bytes = [], 0, n_announced
    while n_bytes <= most:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        pieces.append(message.get("body", b""))
        n_came += len(pieces[-1])
        n_bytes = max(n_announced, n_came)
        if not message.get("more_body"):
            break
    if n_bytes > most:
        raise ServeError(413, f"the body is larger than {most} bytes")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
