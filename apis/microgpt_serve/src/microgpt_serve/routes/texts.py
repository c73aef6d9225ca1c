"""The POST routes: texts and replies, from microgpt's own API and from OpenAI's."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt_serve.errors import ServeError
from microgpt_serve.generation import chat_generation, text_generation
from microgpt_serve.routes.body import BodyRoute, JsonObject
from microgpt_serve.routes.openai.request_schemas import ChatCompletionRequest, CompletionRequest
from microgpt_serve.routes.openai.response_builder import MESSAGE, TEXT, respond
from microgpt_serve.routes.openai.response_schemas import ERRORS, Completion
from microgpt_serve.schemas import (
    MAX_CHARACTERS,
    MAX_PROMPT_COPIES,
    MAX_SAMPLES,
    ChatRequest,
    ChatResponse,
    GenerateRequest,
    GenerateResponse,
)

router = APIRouter(route_class=BodyRoute, responses=ERRORS)
MAY_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


@router.post("/microgpt/v1/chat", response_model=ChatResponse)
async def chat(body: ChatRequest, request: Request) -> JsonObject:
    """Return the assistant's reply.

    The oldest turns are dropped if the conversation does not fit into the context. Characters
    outside the vocabulary are removed. A model of few questions ignores temperature and seed.
    """
    generation = await chat_generation(request, body.messages, body.wanted())
    (reply,) = await generation.finished()
    said = {"role": "assistant", "content": reply.text}
    return {**said, **generation.notes, "finish_reason": reply.finish_reason}


@router.post("/microgpt/v1/generate", response_model=GenerateResponse)
async def generate(body: GenerateRequest, request: Request) -> JsonObject:
    """Return generated texts, each including the prompt.

    `microgpt generate` returns the same texts for the same seed. A chat model generates user
    messages.
    """
    if (length := body.num_samples * len(body.prompt)) > MAX_PROMPT_COPIES:
        limit = f"must be <= {MAX_PROMPT_COPIES}, got {length}"
        message = f"num_samples times the length of the prompt {limit}"
        raise ServeError(400, message, field="num_samples")
    generation = await text_generation(request, [body.prompt], body.wanted())
    samples = [body.prompt + choice.text for choice in await generation.finished()]
    return {"samples": samples, **generation.notes}


@router.post("/v1/chat/completions", response_model=Completion, responses=MAY_STREAM)
async def chat_completions(body: ChatCompletionRequest, request: Request) -> JsonObject | Response:
    """Return the assistant's reply.

    With `stream`, the reply is sent as server-sent events (`chat.completion.chunk`), then `[DONE]`.
    The oldest turns are dropped if the conversation does not fit into the context. Characters
    outside the vocabulary are removed.
    """
    generation = await chat_generation(request, body.messages, body.wanted())
    return await respond(generation, body, MESSAGE)


@router.post("/v1/completions", response_model=Completion, responses=MAY_STREAM)
async def completions(body: CompletionRequest, request: Request) -> JsonObject | Response:
    """Return generated continuations of one or more prompts.

    With `stream`, texts are sent as server-sent events in the same format, followed by `[DONE]`.
    `microgpt generate` returns the same texts for the same seed. Several prompts are processed
    independently; the choices are in the order of the prompts.
    """
    prompts, n = body.prompts, body.n or 1
    if n * len(prompts) > MAX_SAMPLES:
        message = f"n times the number of prompts must be <= {MAX_SAMPLES}, got {n * len(prompts)}"
        raise ServeError(400, message)
    if (length := sum(map(len, prompts))) > MAX_CHARACTERS:
        message = f"the total length of the prompts must be <= {MAX_CHARACTERS}, got {length}"
        raise ServeError(400, message, field="prompt")
    generation = await text_generation(request, prompts, body.wanted())
    return await respond(generation, body, TEXT)
