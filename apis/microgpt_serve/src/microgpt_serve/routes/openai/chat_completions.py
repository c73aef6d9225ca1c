"""POST /v1/chat/completions: reply to a conversation (OpenAI-compatible)."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.body import BodyRoute
from microgpt_serve.routes.native.chat import encode_messages
from microgpt_serve.routes.openai.choice import GeneratedChoice, TextUpdate
from microgpt_serve.routes.openai.request_schemas import ChatCompletionRequest
from microgpt_serve.routes.openai.response_builder import JsonObject, ResponseBuilder
from microgpt_serve.routes.openai.response_schemas import (
    ChatChoice,
    ChatCompletion,
    ChatLogprobs,
    ChosenTokenLogprob,
    TokenLogprob,
)

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
    model = state.model
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
        text, in_bytes = self.model.gpt.tokenizer.label(token), self.token_bytes(token)
        return {"token": text, "logprob": row[token], "bytes": in_bytes}
