"""POST /v1/completions and /v1/chat/completions: OpenAI-compatible generation."""

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt_serve.app_state import AppState, StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import encode_messages, run_function
from microgpt_serve.routes.body import BodyRoute
from microgpt_serve.routes.openai.choice import GeneratedChoice
from microgpt_serve.routes.openai.request_schemas import (
    ChatCompletionRequest,
    CompletionRequest,
    OpenAIRequest,
)
from microgpt_serve.routes.openai.response_builder import JsonObject, ResponseBuilder
from microgpt_serve.routes.openai.response_schemas import (
    ChatChoice,
    ChatCompletion,
    Completion,
    CompletionChoice,
)
from microgpt_serve.schemas import MAX_CHARACTERS, MAX_SAMPLES
from microgpt_serve.served_models import ServedModel

router = APIRouter(route_class=BodyRoute)


@router.post(
    "/v1/chat/completions",
    summary="Reply to a conversation (OpenAI-compatible)",
    response_model=ChatCompletion,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def chat_completions(
    body: ChatCompletionRequest, request: Request, state: StateDep
) -> Response:
    """Return the assistant's reply.

    With `stream`, the reply is sent as server-sent events (`chat.completion.chunk`), then `[DONE]`.
    The oldest turns are dropped if the conversation does not fit into the context. Characters
    outside the vocabulary are removed.
    """
    model = chosen_model(body, request, state)
    limits = [limit for limit in (body.max_tokens, body.max_completion_tokens) if limit]
    prompt = await encode_messages(body.messages, model, request, state)
    job = model.gpt.reply_job(
        prompt,
        body.n or 1,
        sampling=body.sampling,
        max_tokens=model.max_new_tokens(min(limits, default=None)),
        seed=body.seed_or_random(),
    )
    dropped = {
        "tokens_dropped": prompt.tokens_dropped,
        "unknown_characters": prompt.unknown_characters,
    }
    return await _ChatCompletionBuilder(state, request, body, model, job, dropped).respond()


class _ChatCompletionBuilder(ResponseBuilder):
    id_prefix = "chatcmpl"
    object_name, chunk_name = "chat.completion", "chat.completion.chunk"

    def choice_object(self, choice: GeneratedChoice, text: str) -> ChatChoice:
        return {
            "index": choice.index,
            "message": {"role": "assistant", "content": text},
            "logprobs": None,
            "finish_reason": choice.finish_reason,
        }

    def chunks(self, choice: GeneratedChoice, text: str, *, is_first: bool) -> list[JsonObject]:
        chunks = list[JsonObject]()
        if text or (choice.finish_reason and is_first):
            delta = {"role": "assistant"} if is_first else {}
            chunk = self._chunk(choice, {**delta, "content": text})
            chunks.append({**chunk, **self.extra} if is_first else chunk)
        if choice.finish_reason:
            chunks.append(self._chunk(choice, {}, choice.finish_reason))
        return chunks

    def _chunk(
        self, choice: GeneratedChoice, delta: dict[str, str], finish_reason: str | None = None
    ) -> JsonObject:
        chunk = {"index": choice.index, "delta": delta, "logprobs": None}
        return {**self.head, "choices": [{**chunk, "finish_reason": finish_reason}]}


@router.post(
    "/v1/completions",
    summary="Generate texts (OpenAI-compatible)",
    response_model=Completion,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def completions(body: CompletionRequest, request: Request, state: StateDep) -> Response:
    """Return generated continuations of one or more prompts.

    With `stream`, texts are sent as server-sent events in the same format, followed by `[DONE]`.
    `microgpt generate` returns the same texts for the same seed. Several prompts are processed
    independently; the choices are in the order of the prompts.
    """
    model, prompts, n = chosen_model(body, request, state), body.prompts, body.n or 1
    if n * len(prompts) > MAX_SAMPLES:
        message = f"n times the number of prompts must be <= {MAX_SAMPLES}, got {n * len(prompts)}"
        raise ServeError(400, message)
    if (length := sum(map(len, prompts))) > MAX_CHARACTERS:
        message = f"the total length of the prompts must be <= {MAX_CHARACTERS}, got {length}"
        raise ServeError(400, message, field="prompt")
    encode = partial(
        model.gpt.text_job,
        n,
        prompts=prompts,
        sampling=body.sampling,
        max_tokens=model.max_new_tokens(body.max_tokens),
        seed=body.seed_or_random(),
    )
    job = await run_function(state, request, encode, length)
    dropped = {"tokens_dropped": job.tokens_dropped} if job.tokens_dropped else {}
    return await _CompletionBuilder(state, request, body, model, job, dropped).respond()


class _CompletionBuilder(ResponseBuilder):
    id_prefix, object_name, chunk_name = "cmpl", "text_completion", "text_completion"

    def chunks(self, choice: GeneratedChoice, text: str, *, is_first: bool) -> list[JsonObject]:
        if not (text or choice.finish_reason):
            return []
        head = {**self.head, **self.extra} if is_first else self.head
        return [{**head, "choices": [self.choice_object(choice, text)]}]

    def choice_object(self, choice: GeneratedChoice, text: str) -> CompletionChoice:
        return {
            "index": choice.index,
            "text": text,
            "logprobs": None,
            "finish_reason": choice.finish_reason,
        }


def chosen_model(body: OpenAIRequest, request: Request, state: AppState) -> ServedModel:
    """Return the model of a request. If only one is served, any name is accepted."""
    return state.model_of(request, None if len(state.models) == 1 else body.model)
