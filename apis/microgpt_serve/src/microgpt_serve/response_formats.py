"""Response formats: JSON with the finished choices, or server-sent events as the choices grow."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from uuid import uuid4

from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from microgpt_serve.request import GeneratedChoice, Request
from microgpt_serve.service_errors import as_serve_error

JsonObject = Mapping[str, object]
Format = Callable[[Request, Sequence[GeneratedChoice]], JsonObject]
Pieces = AsyncGenerator[list[GeneratedChoice], None]
DONE = b"data: [DONE]\n\n"
SEND_S = 10.0  # number of seconds within which a client must read a chunk of a stream


def samples(request: Request, choices: Sequence[GeneratedChoice]) -> JsonObject:
    """Return the response of /microgpt/v1/generate."""
    texts = [request.prompt + choice.text for choice in choices]
    n_cut = sum(choice.finish_reason == "length" for choice in choices)
    if request.job.rules.max_tokens:  # texts that reached the client's max_tokens are not reported
        n_cut = 0
    return {"samples": texts, **request.notes, **({"samples_cut": n_cut} if n_cut else {})}


def reply(request: Request, choices: Sequence[GeneratedChoice]) -> JsonObject:
    """Return the response of /microgpt/v1/chat."""
    said = {"role": "assistant", "content": choices[0].text}
    return {**said, **request.notes, "finish_reason": choices[0].finish_reason}


@dataclass(frozen=True)
class OpenAIFormat:
    """The response format of a route of OpenAI's API."""

    id_prefix: str
    object_name: str
    chunk_name: str  # value of the field `object` in events
    whole: Callable[[GeneratedChoice], JsonObject]  # formats a finished choice
    parts: Callable[[GeneratedChoice], Iterator[JsonObject]]  # yields one object per event

    def __call__(self, request: Request, choices: Sequence[GeneratedChoice]) -> JsonObject:
        """Return the complete response to a request that is not streamed."""
        shown = list(map(self.whole, choices))
        usage = _usage(request, choices)
        return {**self._head(request), **request.notes, "choices": shown, "usage": usage}

    async def events(self, request: Request, pieces: Pieces) -> AsyncGenerator[bytes, None]:
        """Yield chunks of server-sent events as the choices grow; the last chunk ends with DONE."""
        head = self._head(request)
        if request.wants_usage:
            head = {**head, "usage": None}  # only the last event has token counts
        async with aclosing(pieces):
            async for choices in pieces:
                if shown := b"".join(self._shown(request, choices, head)):
                    yield shown
        usage = _usage(request, choices)
        last = [_event({**head, "choices": [], "usage": usage})] if request.wants_usage else []
        yield b"".join((*last, DONE))

    def _head(self, request: Request) -> JsonObject:
        return {
            "id": f"{self.id_prefix}-{uuid4().hex}",
            "object": self.chunk_name if request.is_streamed else self.object_name,
            "created": int(time.time()),
            "model": request.model.name,
            "system_fingerprint": request.model.version,
        }

    def _shown(
        self, request: Request, choices: Sequence[GeneratedChoice], head: JsonObject
    ) -> Iterator[bytes]:
        """Yield events with new text; the first event of a choice also has `request.notes`."""
        for choice in choices:
            notes = {} if choice.n_sent else request.notes
            for part in [] if choice.is_sent else self.parts(choice):
                yield _event({**head, **notes, "choices": [part]})
                notes = {}
            choice.is_sent = bool(choice.finish_reason)


def _event(message: JsonObject) -> bytes:
    return b"data: %b\n\n" % to_json(message)


def _usage(request: Request, choices: Sequence[GeneratedChoice]) -> Mapping[str, int]:
    n_prompt = sum(map(len, request.job.prompts))
    n_new = sum(choice.n_tokens for choice in choices)
    total = n_prompt + n_new
    return {"prompt_tokens": n_prompt, "completion_tokens": n_new, "total_tokens": total}


def _entry(choice: GeneratedChoice, finish_reason: str | None, **content: object) -> JsonObject:
    return {"index": choice.index, **content, "logprobs": None, "finish_reason": finish_reason}


def _text_parts(choice: GeneratedChoice) -> Iterator[JsonObject]:
    text = choice.new_text()
    if text or choice.finish_reason:
        yield _entry(choice, choice.finish_reason, text=text)


def _message(choice: GeneratedChoice) -> JsonObject:
    message = {"role": "assistant", "content": choice.text}
    return _entry(choice, choice.finish_reason, message=message)


def _message_parts(choice: GeneratedChoice) -> Iterator[JsonObject]:
    role = {} if choice.n_sent else {"role": "assistant"}
    text = choice.new_text()
    if text or (role and choice.finish_reason):
        yield _entry(choice, None, delta={**role, "content": text})
    if choice.finish_reason:
        yield _entry(choice, choice.finish_reason, delta={})


TEXT = OpenAIFormat(
    "cmpl", "text_completion", "text_completion", lambda one: next(_text_parts(one)), _text_parts
)
MESSAGE = OpenAIFormat(
    "chatcmpl", "chat.completion", "chat.completion.chunk", _message, _message_parts
)


class EventStream(Response):
    """Response that sends events as they become available.

    Starlette's StreamingResponse sends status 200 first. Here, an error before the first event is
    sent with its own status, and a later error as an event.
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
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        has_begun = False

        async def send_body(body: bytes, *, has_more: bool) -> None:
            async with asyncio.timeout(SEND_S):
                await send({"type": "http.response.body", "body": body, "more_body": has_more})

        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    if not has_begun:
                        has_begun = True
                        await send(start)
                    await send_body(chunk, has_more=not chunk.endswith(DONE))
        except TimeoutError:
            scope["outcome"] = 499  # the client did not read a chunk in time
        except Exception as error:
            if not has_begun:
                raise
            sent_error = as_serve_error(error)
            scope["outcome"] = sent_error.status_code  # the status that the metrics count
            is_gone = isinstance(error, ClientDisconnect)
            last = b"" if is_gone else b"data: %b\n\n" % sent_error.openai_body()
            await send_body(last, has_more=False)
