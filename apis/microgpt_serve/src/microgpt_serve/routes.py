"""The routes: texts and replies by microgpt's own API and by OpenAI's, models, health, metrics."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any, Literal, NotRequired

from fastapi import APIRouter
from fastapi.routing import APIRoute
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from typing_extensions import TypedDict

from microgpt import FinishReason
from microgpt_serve import formats
from microgpt_serve.bodies import (
    ChatCompletionRequest,
    ChatRequest,
    CompletionRequest,
    GenerateRequest,
    OpenAIRequest,
    RequestBody,
)
from microgpt_serve.errors import ClientDisconnectedError, ServeError
from microgpt_serve.request import POLL_S, service_of

JSON_TYPE = "application/json"
_IS_JSON = re.compile(r"application/([\w.-]+\+)?json\s*(;.*)?", re.IGNORECASE).fullmatch
# 131,072 characters take at most 786,432 bytes, if each is an escape such as \u00e9.
MAX_BODY_BYTES = 2**20

Version = Annotated[
    str, Field(description="First 12 hexadecimal digits of the SHA-256 of the weights.")
]
TokensDropped = Annotated[
    int, Field(description="Number of tokens dropped from the start to fit into the context.")
]
UnknownCharacters = Annotated[
    str, Field(description="Characters removed because they are not in the vocabulary.")
]


class GenerateResponse(TypedDict):
    """Generated texts, each including the prompt. `samples_cut` of them fill the context."""

    samples: list[str]
    tokens_dropped: NotRequired[TokensDropped]
    samples_cut: NotRequired[int]


class ChatResponse(TypedDict):
    """The assistant's reply. With the finish reason `length`, it was cut."""

    role: Literal["assistant"]
    content: str
    tokens_dropped: TokensDropped
    unknown_characters: UnknownCharacters
    finish_reason: FinishReason


class CompletionChoice(TypedDict):
    """A generated text or message. An event of a stream has only its new part."""

    index: int
    text: NotRequired[str]
    message: NotRequired[dict[Literal["role", "content"], str]]
    logprobs: None
    finish_reason: FinishReason | None


class Completion(TypedDict):
    """Generated texts or messages, with the numbers of tokens; special tokens count, too."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: Version
    tokens_dropped: NotRequired[TokensDropped]
    unknown_characters: NotRequired[UnknownCharacters]
    choices: list[CompletionChoice]
    usage: NotRequired[dict[str, int] | None]


class Models(TypedDict):
    """List of the served models."""

    object: Literal["list"]
    data: list[dict[str, str | int]]


class HealthResponse(TypedDict):
    """The first model, and its version; neither without the key of the service."""

    status: Literal["ok"]
    model: NotRequired[str]
    version: NotRequired[Version]


class ErrorResponse(TypedDict):
    """An error: a sentence or, below /v1/, an object with message, type, param and code."""

    error: str | dict[str, str | None]


class BodyRoute(APIRoute):
    """Route that calls its function with a validated body and the request.

    FastAPI itself parses a body into Python objects first, and thus accepts NaN. This takes less
    time, too.
    """

    def get_route_handler(self) -> Callable[[HttpRequest], Coroutine[Any, Any, Response]]:
        """Return a handler that reads and validates the body before calling the function."""
        function = self.endpoint
        body_model: type[BaseModel] = next(iter(function.__annotations__.values()))

        async def handle(http: HttpRequest) -> Response:
            content = await _read(http)
            validate = partial(body_model.model_validate_json, content)
            body = await service_of(http).run(http, validate)
            response: Response = await function(body, http)
            return response

        return handle


async def _read(http: HttpRequest) -> bytearray:
    """Return the body of a request, up to the size limit and the deadline."""
    if not _IS_JSON(http.headers.get("content-type", "")):
        raise ServeError(415, f"the body must be JSON; send Content-Type: {JSON_TYPE}")
    content, loop = bytearray(), asyncio.get_running_loop()
    http.scope["started"], limit = loop.time(), service_of(http).settings.timeout_s
    n_announced = int(http.headers.get("content-length", 0))
    try:
        async with asyncio.timeout(limit):
            async for chunk in http.stream():
                content += chunk
                if max(n_announced, len(content)) > MAX_BODY_BYTES:
                    raise ServeError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        message = f"the request did not arrive within {limit:g} seconds"
        raise ServeError(408, message, headers={"connection": "close"}) from None
    except ClientDisconnect:
        raise ClientDisconnectedError from None
    http.scope.update(n_bytes=len(content), look_at=loop.time() + POLL_S)
    return content


ERROR = "An error with status 4xx or 5xx. The message describes the problem and how to fix it."
ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorResponse, "description": ERROR}
}
MAY_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
texts = APIRouter(route_class=BodyRoute, responses=ERRORS)
status = APIRouter(responses=ERRORS)


@texts.post("/microgpt/v1/generate", response_model=GenerateResponse)
async def generate(body: GenerateRequest, http: HttpRequest) -> Response:
    """Return generated texts, each including the prompt.

    `microgpt generate` returns the same texts for the same seed. A chat model generates user
    messages.
    """
    return await _answer(body, http, formats.samples)


@texts.post("/microgpt/v1/chat", response_model=ChatResponse)
async def chat(body: ChatRequest, http: HttpRequest) -> Response:
    """Return the assistant's reply.

    The oldest turns are dropped if the conversation does not fit into the context. Characters
    outside the vocabulary are removed. A model of few questions ignores temperature and seed.
    """
    return await _answer(body, http, formats.reply)


@texts.post("/v1/chat/completions", response_model=Completion, responses=MAY_STREAM)
async def chat_completions(body: ChatCompletionRequest, http: HttpRequest) -> Response:
    """Return the assistant's reply.

    With `stream`, the reply is sent as server-sent events (`chat.completion.chunk`), then `[DONE]`.
    The oldest turns are dropped if the conversation does not fit into the context. Characters
    outside the vocabulary are removed.
    """
    return await _answer(body, http, formats.MESSAGE)


@texts.post("/v1/completions", response_model=Completion, responses=MAY_STREAM)
async def completions(body: CompletionRequest, http: HttpRequest) -> Response:
    """Return generated continuations of one or more prompts.

    With `stream`, texts are sent as server-sent events in the same format, followed by `[DONE]`.
    `microgpt generate` returns the same texts for the same seed. Several prompts are processed
    independently; the choices are in the order of the prompts.
    """
    return await _answer(body, http, formats.TEXT)


async def _answer(body: RequestBody, http: HttpRequest, form: formats.Format) -> Response:
    """Return the response to a body. OpenAI's routes accept any name if one model is served."""
    service = service_of(http)
    takes_any = isinstance(body, OpenAIRequest) and len(service.models) == 1
    model = service.models.find(None if takes_any else body.model)
    request = await service.run(http, partial(body.request, model))
    pieces = service.pieces(http, request)
    if request.is_streamed and isinstance(form, formats.OpenAIFormat):
        return formats.EventStream(form.events(request, pieces))
    found = {choice.index: choice async for choices in pieces for choice in choices}
    content = form(request, [found[i] for i in sorted(found)])
    return Response(to_json(content), media_type=JSON_TYPE)


@status.get("/v1/models")
async def models(http: HttpRequest) -> Models:
    """Return all models."""
    found = service_of(http).models.values()
    return {
        "object": "list",
        "data": [
            {"id": one.name, "object": "model", "created": one.created, "owned_by": "microgpt"}
            for one in found
        ],
    }


@status.get("/health", openapi_extra={"security": []})
async def health(http: HttpRequest) -> HealthResponse:
    """Return 200 while the process is running, with the first model's name and version.

    If the service has an API key, a request without it learns only that the process is running.
    """
    if not http.scope["is_authorised"]:
        return {"status": "ok"}
    model = service_of(http).models.find(None)
    return {"status": "ok", "model": model.name, "version": model.version}


@status.get("/metrics", response_class=Response)
async def metrics(http: HttpRequest) -> Response:
    """Return all metrics in the Prometheus text format."""
    text = generate_latest(service_of(http).metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
