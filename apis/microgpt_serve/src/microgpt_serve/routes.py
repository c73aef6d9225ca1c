"""Routes of microgpt's API and of OpenAI's API, and routes for models, health and metrics."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Literal, NotRequired

from fastapi import APIRouter
from fastapi.routing import APIRoute
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from typing_extensions import TypedDict

from microgpt import FinishReason
from microgpt_serve import response_formats
from microgpt_serve.body_limits import JSON_TYPE, read_body, validated
from microgpt_serve.encoding import encode
from microgpt_serve.models import ServedModel
from microgpt_serve.request import service_of
from microgpt_serve.request_bodies import (
    ChatCompletionRequest,
    ChatRequest,
    CompletionRequest,
    GenerateRequest,
    OpenAIRequest,
    PostBody,
)


class GenerateResponse(TypedDict):
    """Texts that start with the prompt; numbers of dropped prompt tokens and truncated texts."""

    samples: list[str]
    tokens_dropped: NotRequired[int]
    samples_cut: NotRequired[int]


class ChatResponse(TypedDict):
    """The assistant's reply; the finish reason `length` means that it was truncated.

    The model did not read the oldest `tokens_dropped` tokens or the `unknown_characters`.
    """

    role: Literal["assistant"]
    content: str
    tokens_dropped: int
    unknown_characters: str
    finish_reason: FinishReason


class ErrorResponse(TypedDict):
    """An error: a sentence or, below /v1/, an object with message, type, param and code."""

    error: str | dict[str, str | None]


class BodyRoute(APIRoute):
    """Route that validates the bytes of a body; FastAPI would parse them first, and accept NaN."""

    def get_route_handler(self) -> Callable[[HttpRequest], Coroutine[Any, Any, Response]]:
        """Return a handler that reads and validates the body before it calls the endpoint."""
        function = self.endpoint
        body_model: type[BaseModel] = next(iter(function.__annotations__.values()))

        async def handle(http: HttpRequest) -> Response:
            content = await read_body(http)
            validate = partial(validated, body_model, content)
            body = await service_of(http).run(http, validate)
            response: Response = await function(body, http)
            return response

        return handle


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

    `microgpt generate` returns the same texts for the same seed. Chat models write user messages.
    """
    return await _answer(body, http, response_formats.samples)


@texts.post("/microgpt/v1/chat", response_model=ChatResponse)
async def chat(body: ChatRequest, http: HttpRequest) -> Response:
    """Return the assistant's reply.

    The oldest turns are dropped if the conversation does not fit into the context. Characters
    outside the vocabulary are removed. Models with a table of replies ignore temperature and seed.
    """
    return await _answer(body, http, response_formats.reply)


@texts.post("/v1/chat/completions", responses=MAY_STREAM)
async def chat_completions(body: ChatCompletionRequest, http: HttpRequest) -> Response:
    """Return the assistant's reply, like /microgpt/v1/chat.

    With `stream`, the reply is sent as server-sent events (`chat.completion.chunk`), then `[DONE]`.
    """
    return await _answer(body, http, response_formats.MESSAGE)


@texts.post("/v1/completions", responses=MAY_STREAM)
async def completions(body: CompletionRequest, http: HttpRequest) -> Response:
    """Return generated continuations of one or more prompts, in the order of the prompts.

    With `stream`, texts are sent as server-sent events in the same format, followed by `[DONE]`.
    """
    return await _answer(body, http, response_formats.TEXT)


async def _answer(body: PostBody, http: HttpRequest, form: response_formats.Format) -> Response:
    """Return the response to a body. With one model, OpenAI's routes accept any model name."""
    service = service_of(http)
    takes_any = isinstance(body, OpenAIRequest) and len(service.models) == 1
    model = service.models.find(None if takes_any else body.model)
    request = await service.run(http, partial(encode, body, model))
    pieces = service.pieces(http, request)
    if request.is_streamed and isinstance(form, response_formats.OpenAIFormat):
        return response_formats.EventStream(form.events(request, pieces))
    async for choices in pieces:  # noqa: B007 - the last choices are finished
        pass
    return Response(to_json(form(request, choices)), media_type=JSON_TYPE)


@status.get("/v1/models")
async def models(http: HttpRequest) -> dict[str, Any]:
    """Return all models."""
    return {"object": "list", "data": [*map(_entry, service_of(http).models.values())]}


@status.get("/v1/models/{name:path}")
async def model(name: str, http: HttpRequest) -> dict[str, Any]:
    """Return the model with the given name."""
    return _entry(service_of(http).models.find(name))


def _entry(one: ServedModel) -> dict[str, Any]:
    return {"id": one.name, "object": "model", "created": one.created, "owned_by": "microgpt"}


@status.get("/health", openapi_extra={"security": []})
async def health(http: HttpRequest) -> dict[str, str]:
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
