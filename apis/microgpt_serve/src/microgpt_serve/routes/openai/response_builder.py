"""Complete responses to OpenAI-compatible requests, and streams of server-sent events."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar
from uuid import uuid4

from fastapi import Request
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from microgpt import Continuation, Job
from microgpt_serve.app_state import AppState
from microgpt_serve.errors import ClientDisconnectedError, as_serve_error
from microgpt_serve.generation import run_job, stream_job
from microgpt_serve.routes.body import JSON_TYPE
from microgpt_serve.routes.openai.choice import GeneratedChoice
from microgpt_serve.routes.openai.request_schemas import OpenAIRequest
from microgpt_serve.routes.openai.response_schemas import Usage
from microgpt_serve.served_models import ServedModel

LOG = logging.getLogger("microgpt_serve")
DONE = b"data: [DONE]\n\n"
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
    extra: JsonObject  # additional fields of the response

    def __post_init__(self) -> None:
        self.head: JsonObject = {
            "id": f"{self.id_prefix}-{uuid4().hex}",
            "object": self.chunk_name if self.body.stream else self.object_name,
            "created": int(time.time()),
            "model": self.model.name,
            "system_fingerprint": self.model.version,
            **({"usage": None} if self.body.includes_usage else {}),
        }

    @cached_property
    def choices(self) -> list[GeneratedChoice]:
        """Return the choices, created on first use because many clients disconnect before that."""
        tokenizer, stop = self.model.gpt.tokenizer, self.body.stop or ()
        return [GeneratedChoice(i, tokenizer, stop) for i in range(self.job.n_sequences)]

    @abstractmethod
    def choice_object(self, choice: GeneratedChoice, text: str) -> JsonObject:
        """Return a choice as a JSON object, with its text or, in a stream, with its new text."""

    @abstractmethod
    def chunks(self, choice: GeneratedChoice, text: str, *, is_first: bool) -> list[JsonObject]:
        """Return the stream events for the new text of a choice."""

    async def respond(self) -> Response:
        """Return the complete response, or an event stream if the request sets `stream`."""
        if self.body.stream:
            return EventStream(self._events())
        async for _ in self._generate():
            pass
        choices = [self.choice_object(choice, choice.text) for choice in self.choices]
        content = {**self.head, **self.extra, "choices": choices, "usage": self._usage()}
        return Response(to_json(content), media_type=JSON_TYPE)

    async def _events(self) -> AsyncGenerator[bytes, None]:
        """Yield encoded events as the choices grow, ending with DONE."""
        open_choices = self.choices
        async with aclosing(self._generate()) as steps:
            async for _ in steps:
                events = b"".join(map(self._new_events, open_choices))
                open_choices = [one for one in open_choices if not one.finish_reason]
                if events and open_choices:
                    yield events
        if self.body.includes_usage:
            events += event({**self.head, "choices": [], "usage": self._usage()})
        yield events + DONE

    def _new_events(self, choice: GeneratedChoice) -> bytes:
        is_first = not choice.n_sent
        return b"".join(map(event, self.chunks(choice, choice.new_text(), is_first=is_first)))

    async def _generate(self) -> AsyncGenerator[None, None]:
        """Extend the choices until all are finished. Yield after each extension."""
        if not (self.body.stream or self.body.stop):  # nothing reads the text before its end
            self._extend(await run_job(self.state, self.request, self.model, self.job))
            yield
            return
        stream = stream_job(self.state, self.request, self.model, self.job)
        async with aclosing(stream) as updates:
            async for continuations in updates:
                self._extend(continuations)
                yield
                if all(choice.finish_reason for choice in self.choices):
                    return

    def _extend(self, continuations: Sequence[Continuation]) -> None:
        for choice, continuation in zip(self.choices, continuations, strict=True):
            choice.extend(continuation)

    def _usage(self) -> Usage:
        n_prompt = sum(map(len, self.job.prompts))
        n_new = sum(choice.n_tokens for choice in self.choices)
        return {
            "prompt_tokens": n_prompt,
            "completion_tokens": n_new,
            "total_tokens": n_prompt + n_new,
        }


def event(message: JsonObject) -> bytes:
    """Encode a message as a server-sent event."""
    return b"data: %b\n\n" % to_json(message)


class EventStream(Response):
    """Response that sends events as they become available.

    An error before the first event produces a normal error response. A later error is sent as an
    event, because the status has already been sent.
    """

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        """Create a response from chunks of complete events. The last chunk ends with DONE."""
        # `x-accel-buffering` disables response buffering in nginx.
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and the events, then close the stream."""
        has_begun = False

        async def send_chunk(chunk: bytes, *, is_last: bool = False) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(start)
            body = {"type": "http.response.body", "body": chunk, "more_body": not is_last}
            await send(body)

        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await send_chunk(chunk, is_last=chunk.endswith(DONE))
        except Exception as error:
            if not has_begun:
                raise
            sent_error = as_serve_error(error)
            scope["outcome"] = sent_error.status  # used by the access log and the metrics
            if sent_error.status == 500:
                LOG.error("internal error while streaming a response", exc_info=error)
            is_gone = isinstance(error, ClientDisconnectedError)
            last = b"" if is_gone else b"data: %b\n\n" % sent_error.openai_body()
            await send_chunk(last, is_last=True)
