"""Build complete and streamed responses to OpenAI-compatible requests."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from heapq import nlargest
from typing import ClassVar, TypeVar

from fastapi import Request
from pydantic_core import to_json
from starlette.responses import Response

from microgpt.sampling import Continuation, Job
from microgpt_serve.app_state import AppState
from microgpt_serve.generation import stream_job
from microgpt_serve.routes.body import JSON_TYPE
from microgpt_serve.routes.openai.choice import Choice, TextUpdate
from microgpt_serve.routes.openai.request_schemas import OpenAIRequest
from microgpt_serve.routes.openai.response_schemas import Usage
from microgpt_serve.routes.openai.server_sent_events import DONE, EventStream, event
from microgpt_serve.served_model import ServedModel

T = TypeVar("T")
JsonObject = Mapping[str, object]


@dataclass
class ResponseBuilder(ABC):
    """Builds the response to one request from its choices."""

    id_prefix: ClassVar[str]
    object_name: ClassVar[str]
    chunk_name: ClassVar[str]  # value of `object` in streamed events

    state: AppState
    request: Request
    body: OpenAIRequest
    model: ServedModel
    job: Job
    n_top_logprobs: int | None = None  # None: no log-probabilities are returned
    echoes: Sequence[Sequence[int]] = ()  # tokens of each prompt, to send before the generated text
    extra: JsonObject = field(default_factory=dict)  # additional fields of the response

    def __post_init__(self) -> None:
        tokenizer, stop = self.model.gpt.tokenizer, self.body.stop or ()
        prompts = self.job.prompts
        pairs = zip(prompts, self.echoes or [()] * len(prompts), strict=True)
        repeated = [pair for pair in pairs for _ in self.job.seeds]
        self.choices = [
            Choice(i, tokenizer, stop=stop, prompt=prompt, echo=echo)
            for i, (prompt, echo) in enumerate(repeated)
        ]
        self.head: JsonObject = {
            "id": f"{self.id_prefix}-{self.request.scope['request_id']}",
            "object": self.chunk_name if self.body.stream else self.object_name,
            "created": int(time.time()),
            "model": self.model.name,
            "system_fingerprint": self.model.version,
        }

    @abstractmethod
    def choice_object(self, choice: Choice, update: TextUpdate) -> JsonObject:
        """Return a choice, or a streamed update to it, as a JSON object."""

    @abstractmethod
    def chunks(self, choice: Choice, update: TextUpdate) -> list[JsonObject]:
        """Return the stream events for an update to a choice."""

    async def respond(self) -> Response:
        """Return the complete response, or an event stream if the request sets `stream`."""
        if self.body.stream:
            return EventStream(self._events())
        async for _ in self._generate():
            pass
        return Response(await self._call(self._whole_body), media_type=JSON_TYPE)

    def _whole_body(self) -> bytes:
        choices = [self.choice_object(choice, choice.update()) for choice in self.choices]
        return to_json({**self.head, **self.extra, "choices": choices, "usage": self._usage()})

    async def _events(self) -> AsyncGenerator[bytes, None]:
        """Yield encoded events as the choices grow, ending with DONE."""
        open_choices = self.choices

        def new_events() -> bytes:
            chunks = [self.chunks(choice, choice.update()) for choice in open_choices]
            return b"".join(event(chunk) for one in chunks for chunk in one)

        async with aclosing(self._generate()) as steps:
            async for _ in steps:
                events = await self._call(new_events)
                open_choices = [one for one in open_choices if not one.finish_reason]
                if events and open_choices:
                    yield events
        if self.body.includes_usage:
            events += event({**self.head, "choices": [], "usage": self._usage()})
        yield events + DONE

    async def _generate(self) -> AsyncGenerator[None, None]:
        """Extend the choices until all are finished. Yield after each extension."""
        if self.body.max_tokens == 0:
            for choice in self.choices:
                choice.extend(Continuation([], "length"))
            yield
            return
        stream = stream_job(self.state, self.request, self.model, self.job)
        async with aclosing(stream) as updates:
            async for continuations in updates:
                for choice, continuation in zip(self.choices, continuations, strict=True):
                    choice.extend(continuation)
                yield
                if all(choice.finish_reason for choice in self.choices):
                    return

    async def _call(self, function: Callable[[], T]) -> T:
        """Call a function, in a thread if it computes log-probabilities, because this is slow."""
        if self.n_top_logprobs is None:
            return function()
        return await asyncio.to_thread(function)

    def _usage(self) -> Usage:
        n_prompt = sum(map(len, self.job.prompts))
        n_new = sum(len(choice.tokens) for choice in self.choices)
        return {
            "prompt_tokens": n_prompt,
            "completion_tokens": n_new,
            "total_tokens": n_prompt + n_new,
        }

    def log_probabilities(self, choice: Choice, update: TextUpdate) -> list[list[float] | None]:
        """Return log-probabilities over the vocabulary at the position of each new token.

        The entry is None for the first token of a text, because it has no context.
        """
        if not update.tokens:
            return []
        known = len(choice.prompt) + len(choice.tokens) + (choice.stop_token is not None)
        first = known - len(update.tokens) - 1  # position before the first new token
        read = [*choice.prompt, *choice.tokens][: known - 1]
        rows = self.model.gpt.log_probabilities(read, max(first, 0)) if read else []
        return [*([None] if first < 0 else []), *rows]

    def token_bytes(self, token: int) -> list[int] | None:
        """Return the UTF-8 bytes of a token, or None for a special token."""
        tokenizer = self.model.gpt.tokenizer
        if token in tokenizer.special_ids:
            return None
        name = tokenizer.names[token]
        return list(name.encode() if isinstance(name, str) else name)


def most_likely(row: Sequence[float], n: int, token: int) -> list[int]:
    """Return the n most likely tokens, plus `token` if missing. The lowest id wins ties."""
    tokens = nlargest(n, range(len(row)), key=row.__getitem__)
    return tokens if token in tokens else [*tokens, token]
