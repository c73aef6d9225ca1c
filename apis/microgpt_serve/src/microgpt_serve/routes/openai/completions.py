"""POST /v1/completions and /v1/chat/completions: OpenAI-compatible generation."""

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt_serve.app_state import AppState, StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_function
from microgpt_serve.routes.body import MAX_INLINE_CHARS, BodyRoute
from microgpt_serve.routes.openai.choice import GeneratedChoice, TextUpdate
from microgpt_serve.routes.openai.request_schemas import (
    ChatCompletionRequest,
    CompletionRequest,
    OpenAIRequest,
)
from microgpt_serve.routes.openai.response_builder import JsonObject, ResponseBuilder
from microgpt_serve.routes.openai.response_schemas import (
    ChatChoice,
    ChatCompletion,
    ChatLogprobs,
    ChosenTokenLogprob,
    Completion,
    CompletionChoice,
    Logprobs,
    TokenLogprob,
)
from microgpt_serve.routes.prompts import encode_messages
from microgpt_serve.schemas import MAX_CHARACTERS, MAX_SAMPLES
from microgpt_serve.served_model import ServedModel

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
    if body.top_logprobs is not None and not body.logprobs:
        raise ServeError(400, "top_logprobs requires logprobs: true", field="top_logprobs")
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
    n_top = (body.top_logprobs or 0) if body.logprobs else None
    builder = _ChatCompletionBuilder(state, request, body, model, job, n_top, extra=dropped)
    return await builder.respond()


class _ChatCompletionBuilder(ResponseBuilder):
    id_prefix = "chatcmpl"
    object_name, chunk_name = "chat.completion", "chat.completion.chunk"

    def choice_object(self, choice: GeneratedChoice, update: TextUpdate) -> ChatChoice:
        return {
            "index": choice.index,
            "message": {"role": "assistant", "content": choice.text},
            "logprobs": self._logprobs(update),
            "finish_reason": choice.finish_reason,
        }

    def chunks(self, choice: GeneratedChoice, update: TextUpdate) -> list[JsonObject]:
        chunks, is_first = list[JsonObject](), not update.offset
        has_more = update.text or (update.tokens and self.n_top_logprobs is not None)
        if has_more or (choice.finish_reason and is_first):
            delta = {"role": "assistant"} if is_first else {}
            delta["content"] = update.text
            chunk = self._chunk(choice, delta, logprobs=self._logprobs(update))
            chunks.append({**chunk, **self.extra} if is_first else chunk)
        if choice.finish_reason:
            chunks.append(self._chunk(choice, {}, finish_reason=choice.finish_reason))
        return chunks

    def _chunk(
        self, choice: GeneratedChoice, delta: dict[str, str], **others: object
    ) -> JsonObject:
        chunk = {"index": choice.index, "delta": delta, "logprobs": None, "finish_reason": None}
        return {**self.head, "choices": [{**chunk, **others}]}

    def _logprobs(self, update: TextUpdate) -> ChatLogprobs | None:
        if (n := self.n_top_logprobs) is None:
            return None
        content: list[ChosenTokenLogprob] = []
        for token, row in zip(update.tokens, update.likely, strict=True):
            assert row is not None  # the prompt is never empty, so every token has a context
            others = [self._logprob(other, row) for other in row if n]
            content.append({**self._logprob(token, row), "top_logprobs": others})
        return {"content": content, "refusal": None}

    def _logprob(self, token: int, row: dict[int, float]) -> TokenLogprob:
        tokenizer, in_bytes = self.model.gpt.tokenizer, None
        if token not in tokenizer.special_ids:
            name = tokenizer.names[token]
            in_bytes = list(name.encode() if isinstance(name, str) else name)
        return {"token": tokenizer.label(token), "logprob": row[token], "bytes": in_bytes}


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
        max_tokens=model.max_new_tokens(body.max_tokens) if body.max_tokens != 0 else 0,
        seed=body.seed_or_random(),
    )
    job = await run_function(state, request, encode, length, MAX_INLINE_CHARS)
    if body.echo and job.tokens_dropped:
        size = model.gpt.config.block_size
        message = f"with echo, a prompt must fit into the context of {size} tokens; omit echo"
        raise ServeError(400, message, field="prompt")
    pairs = zip(prompts, job.prompts, strict=True)
    echoes = [_echo(model, *pair) for pair in pairs] if body.echo else ()
    dropped = {"tokens_dropped": job.tokens_dropped} if job.tokens_dropped else {}
    builder = _CompletionBuilder(
        state, request, body, model, job, body.logprobs, echoes, extra=dropped
    )
    return await builder.respond()


class _CompletionBuilder(ResponseBuilder):
    id_prefix, object_name, chunk_name = "cmpl", "text_completion", "text_completion"

    def chunks(self, choice: GeneratedChoice, update: TextUpdate) -> list[JsonObject]:
        if not (update.text or update.tokens or choice.finish_reason):
            return []
        head = self.head if update.offset else {**self.head, **self.extra}
        return [{**head, "choices": [self.choice_object(choice, update)]}]

    def choice_object(self, choice: GeneratedChoice, update: TextUpdate) -> CompletionChoice:
        return {
            "index": choice.index,
            "text": update.text,
            "logprobs": self._logprobs(choice, update),
            "finish_reason": choice.finish_reason,
        }

    def _logprobs(self, choice: GeneratedChoice, update: TextUpdate) -> Logprobs | None:
        if self.n_top_logprobs is None:
            return None
        text_of = self.model.gpt.tokenizer.label
        pairs = zip(update.tokens, update.likely, strict=True)
        return {
            "tokens": list(map(text_of, update.tokens)),
            "token_logprobs": [row[token] if row else None for token, row in pairs],
            "top_logprobs": [
                {text_of(one): value for one, value in row.items()} if row else None
                for row in update.likely
            ],
            "text_offset": choice.offsets(update),
        }


def chosen_model(body: OpenAIRequest, request: Request, state: AppState) -> ServedModel:
    """Return the model of a request. If only one is served, any name is accepted."""
    return state.model_of(request, None if len(state.models.by_name) == 1 else body.model)


def _echo(model: ServedModel, prompt: str | list[int], opening: Sequence[int]) -> Sequence[int]:
    """Return the tokens of a prompt: `opening` without its leading special tokens."""
    n_prompt = len(opening) - len(model.gpt.opening("")) if isinstance(prompt, str) else len(prompt)
    return opening[len(opening) - n_prompt :]
