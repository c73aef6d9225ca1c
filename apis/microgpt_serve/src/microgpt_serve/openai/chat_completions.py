"""POST /v1/chat/completions: the assistant's reply, for clients of OpenAI's API."""

from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from microgpt.conversation import ChatPrompt
from microgpt.jobs import Job, reply_job
from microgpt.sampling import FinishReason
from microgpt_serve.body import BodyRoute
from microgpt_serve.chat import prompt_of
from microgpt_serve.errors import ServeError
from microgpt_serve.openai.answers import (
    AssistantMessage,
    ChatChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatLogprobs,
    ChunkChoice,
    Delta,
    TakenLogprob,
    TokenLogprob,
)
from microgpt_serve.openai.choice import Choice, News
from microgpt_serve.openai.fields import ChatCompletionRequest
from microgpt_serve.openai.reply import Reply, new_seed
from microgpt_serve.openai.token_names import likeliest
from microgpt_serve.served_model import ServedModel
from microgpt_serve.service import service_of

router = APIRouter(route_class=BodyRoute)
T = TypeVar("T", bound=TokenLogprob)


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
    model = service_of(request).model
    _check(body)
    prompt = await prompt_of(body.messages, model)
    job = reply_job(
        model.gpt,
        prompt,
        body.n or 1,
        sampling=body.sampling,
        max_tokens=body.max_tokens or body.max_completion_tokens,
        seed=new_seed(body),
    )
    return await _ChatCompletion(request, body, model, job, prompt).respond()


def _check(body: ChatCompletionRequest) -> None:
    """Refuse what contradicts itself."""
    limits = {body.max_tokens, body.max_completion_tokens} - {None}
    if len(limits) > 1:
        message = "max_tokens and max_completion_tokens differ; give one of them"
        raise ServeError(400, message, field="max_tokens")
    if body.top_logprobs is not None and not body.logprobs:
        raise ServeError(400, "top_logprobs needs logprobs: true", field="top_logprobs")


class _ChatCompletion(Reply):
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
        self._left_out: dict[str, Any] = {
            "tokens_dropped": prompt.tokens_dropped,
            "unknown_characters": prompt.unknown_characters,
        }
        self._head = self.head(
            "chat.completion.chunk" if body.stream else "chat.completion", "chatcmpl"
        )

    @property
    def has_logprobs(self) -> bool:
        return bool(self._body.logprobs)

    def whole(self) -> BaseModel:
        choices = [
            ChatChoice.model_construct(
                index=choice.index,
                message=AssistantMessage(role="assistant", content=choice.text),
                logprobs=self._logprobs(choice, choice.news()),
                finish_reason=choice.finish_reason,
            )
            for choice in self.choices
        ]
        return ChatCompletion.model_construct(
            **self._head, **self._left_out, choices=choices, usage=self.usage()
        )

    def pieces(self, choice: Choice) -> list[BaseModel]:
        news, messages = choice.news(), list[BaseModel]()
        if news.text or (choice.finish_reason and not news.offset):
            delta, left_out = {"content": news.text}, {}
            if not news.offset:
                delta, left_out = {"role": "assistant", **delta}, self._left_out
            logprobs = self._logprobs(choice, news)
            messages.append(self._chunk(choice, delta, logprobs, **left_out))
        if choice.finish_reason:
            messages.append(self._chunk(choice, {}, finish_reason=choice.finish_reason))
        return messages

    def last(self) -> BaseModel:
        return ChatCompletionChunk.model_construct(**self._head, choices=[], usage=self.usage())

    def _chunk(
        self,
        choice: Choice,
        delta: dict[str, Any],
        logprobs: ChatLogprobs | None = None,
        finish_reason: FinishReason | None = None,
        **left_out: Any,
    ) -> ChatCompletionChunk:
        piece = ChunkChoice.model_construct(
            index=choice.index,
            delta=Delta.model_construct(**delta),
            logprobs=logprobs,
            finish_reason=finish_reason,
        )
        return ChatCompletionChunk.model_construct(**self._head, choices=[piece], **left_out)

    def _logprobs(self, choice: Choice, news: News) -> ChatLogprobs | None:
        if not self.has_logprobs:
            return None
        rows = self.log_probabilities(choice, news)
        content = []
        for token, row in zip(news.tokens, rows, strict=True):
            others = [
                self._logprob(TokenLogprob, other, row)
                for other in likeliest(row, self._n_likeliest)
            ]
            content.append(self._logprob(TakenLogprob, token, row, top_logprobs=others))
        return ChatLogprobs(content=content, refusal=None)

    def _logprob(self, kind: type[T], token: int, row: list[float], **more: Any) -> T:
        return kind.model_construct(
            token=self.names[token],
            logprob=row[token],
            bytes=self.names.bytes_of(token),
            **more,
        )
