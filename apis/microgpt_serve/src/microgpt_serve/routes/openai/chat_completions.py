"""POST /v1/chat/completions: the assistant's reply, for clients of OpenAI's API."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt.batching.jobs import Job, reply_job
from microgpt.data.chat_truncation import ChatPrompt
from microgpt.sampling import FinishReason
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.body import BodyRoute
from microgpt_serve.routes.native.chat import prompt_of
from microgpt_serve.routes.openai.choice import Choice, TextUpdate
from microgpt_serve.routes.openai.requests import ChatCompletionRequest
from microgpt_serve.routes.openai.response import Message, ResponseBuilder, new_seed
from microgpt_serve.routes.openai.schemas import (
    ChatChoice,
    ChatCompletion,
    ChatLogprobs,
    ChunkChoice,
    Delta,
    LeftOut,
    TakenLogprob,
    TokenLogprob,
)
from microgpt_serve.routes.openai.token_names import likeliest
from microgpt_serve.served_model import ServedModel
from microgpt_serve.service import service_of

router = APIRouter(route_class=BodyRoute)


@router.post(
    "/v1/chat/completions",
    summary="Reply to a conversation, for clients of OpenAI's API",
    response_model=ChatCompletion,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def chat_completions(body: ChatCompletionRequest, request: Request) -> Response:
    """Return the assistant's next turn.

    With `stream`, in events (`chat.completion.chunk`), with `[DONE]` at the end. What does not fit
    into the context is left out, the oldest turns first; so are characters that the model does not
    know.
    """
    service = service_of(request)
    model = service.model
    if body.top_logprobs is not None and not body.logprobs:
        raise ServeError(400, "top_logprobs needs logprobs: true", field="top_logprobs")
    limits = [most for most in (body.max_tokens, body.max_completion_tokens) if most]
    prompt = await prompt_of(body.messages, model, service)
    job = reply_job(
        model.gpt,
        prompt,
        body.n or 1,
        sampling=body.sampling,
        max_tokens=min(limits, default=None),
        seed=new_seed(body),
    )
    return await _ChatCompletion(request, body, model, job, prompt).respond()


class _ChatCompletion(ResponseBuilder):
    def __init__(
        self,
        request: Request,
        body: ChatCompletionRequest,
        model: ServedModel,
        job: Job,
        prompt: ChatPrompt,
    ) -> None:
        super().__init__(request, body, model, job)
        self._body, self._n_likeliest = body, body.top_logprobs or 0
        self._left_out: LeftOut = {
            "tokens_dropped": prompt.tokens_dropped,
            "unknown_characters": prompt.unknown_characters,
        }
        self._head = self.head(
            "chat.completion.chunk" if body.stream else "chat.completion", "chatcmpl"
        )

    @property
    def has_logprobs(self) -> bool:
        return bool(self._body.logprobs)

    def whole(self) -> Message:
        choices: list[ChatChoice] = [
            {
                "index": choice.index,
                "message": {"role": "assistant", "content": choice.text},
                "logprobs": self._logprobs(choice, choice.news()),
                "finish_reason": choice.finish_reason,
            }
            for choice in self.choices
        ]
        return {**self._head, **self._left_out, "choices": choices, "usage": self.usage()}

    def pieces(self, choice: Choice) -> list[Message]:
        news, chunks = choice.news(), list[Message]()
        is_first = not news.offset
        has_more = news.text or (news.tokens and self.has_logprobs)
        if has_more or (choice.finish_reason and is_first):
            delta: Delta = {"content": news.text}
            if is_first:
                delta = {"role": "assistant", "content": news.text}
            chunk = self._chunk(choice, delta, self._logprobs(choice, news))
            chunks.append({**chunk, **self._left_out} if is_first else chunk)
        if choice.finish_reason:
            chunks.append(self._chunk(choice, {}, finish_reason=choice.finish_reason))
        return chunks

    def last(self) -> Message:
        return {**self._head, "choices": [], "usage": self.usage()}

    def _chunk(
        self,
        choice: Choice,
        delta: Delta,
        logprobs: ChatLogprobs | None = None,
        finish_reason: FinishReason | None = None,
    ) -> Message:
        piece: ChunkChoice = {
            "index": choice.index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return {**self._head, "choices": [piece]}

    def _logprobs(self, choice: Choice, news: TextUpdate) -> ChatLogprobs | None:
        if not self.has_logprobs:
            return None
        content: list[TakenLogprob] = []
        n = self._n_likeliest
        for token, row in zip(news.tokens, self.log_probabilities(choice, news), strict=True):
            assert row is not None  # a conversation came before
            others = [self._logprob(other, row) for other in likeliest(row, n, token) if n]
            content.append({**self._logprob(token, row), "top_logprobs": others})
        return {"content": content, "refusal": None}

    def _logprob(self, token: int, row: list[float]) -> TokenLogprob:
        names = self.names
        return {"token": names[token], "logprob": row[token], "bytes": names.bytes_of(token)}
