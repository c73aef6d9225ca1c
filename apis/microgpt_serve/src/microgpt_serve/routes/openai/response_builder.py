"""Complete responses to OpenAI-compatible requests, and streams of server-sent events."""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple
from uuid import uuid4

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from microgpt_serve.choice import GeneratedChoice
from microgpt_serve.errors import ClientDisconnectedError, as_serve_error
from microgpt_serve.generation import Generation
from microgpt_serve.routes.body import JsonObject
from microgpt_serve.routes.openai.request_schemas import OpenAIRequest
from microgpt_serve.routes.openai.response_schemas import Usage

LOG = logging.getLogger("microgpt_serve")
DONE = b"data: [DONE]\n\n"


class Format(NamedTuple):
    """How a route shows its choices."""

    id_prefix: str
    object_name: str
    chunk_name: str  # value of `object` in streamed events
    whole: Callable[[GeneratedChoice], JsonObject]  # a finished choice
    parts: Callable[[GeneratedChoice], Iterator[JsonObject]]  # each part makes an event


async def respond(
    generation: Generation, body: OpenAIRequest, form: Format
) -> JsonObject | Response:
    """Return the complete response, or an event stream if the request sets `stream`."""
    head: dict[str, object] = {
        "id": f"{form.id_prefix}-{uuid4().hex}",
        "object": form.chunk_name if body.stream else form.object_name,
        "created": int(time.time()),
        "model": generation.model.name,
        "system_fingerprint": generation.model.version,
    }
    if body.stream:
        if body.stream_options and body.stream_options.include_usage:
            head["usage"] = None  # until the last event
        return EventStream(_encoded_events(generation, form, head))
    choices = [form.whole(choice) for choice in await generation.finished()]
    return {**head, **generation.notes, "choices": choices, "usage": _usage(generation)}


async def _encoded_events(
    generation: Generation, form: Format, head: JsonObject
) -> AsyncGenerator[bytes, None]:
    """Yield events as the choices grow, ending with DONE."""
    async with aclosing(generation.steps(is_streamed=True)) as steps:
        async for choices in steps:
            encoded = b"".join(map(_encoded, events(generation, choices, form, head)))
            if encoded and not generation.is_finished:
                yield encoded
    if "usage" in head:
        encoded += _encoded({**head, "choices": [], "usage": _usage(generation)})
    yield encoded + DONE


def events(
    generation: Generation, choices: Sequence[GeneratedChoice], form: Format, head: JsonObject
) -> Iterator[JsonObject]:
    """Yield the events about choices that may have grown. The first of each has the notes, too."""
    for choice in choices:
        notes = {} if choice.n_sent else generation.notes
        for part in form.parts(choice):
            yield {**head, **notes, "choices": [part]}
            notes = {}


def _encoded(message: JsonObject) -> bytes:
    return b"data: %b\n\n" % to_json(message)


def _usage(generation: Generation) -> Usage:
    n_prompt = sum(map(len, generation.job.prompts))
    n_new = sum(choice.n_tokens for choice in generation.choices)
    total = n_prompt + n_new
    return {"prompt_tokens": n_prompt, "completion_tokens": n_new, "total_tokens": total}


def _entry(choice: GeneratedChoice, finish_reason: str | None, **content: object) -> JsonObject:
    return {"index": choice.index, **content, "logprobs": None, "finish_reason": finish_reason}


def _text(choice: GeneratedChoice) -> JsonObject:
    return _entry(choice, choice.finish_reason, text=choice.text)


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


TEXT = Format("cmpl", "text_completion", "text_completion", _text, _text_parts)
MESSAGE = Format("chatcmpl", "chat.completion", "chat.completion.chunk", _message, _message_parts)


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
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        body = {"type": "http.response.body"}
        has_begun = False
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    if not has_begun:
                        has_begun = True
                        await send(start)
                    await send({**body, "body": chunk, "more_body": not chunk.endswith(DONE)})
        except Exception as error:
            if not has_begun:
                raise
            sent_error = as_serve_error(error)
            scope["outcome"] = sent_error.status  # used by the access log and the metrics
            if sent_error.status == 500:
                LOG.error("internal error while streaming a response", exc_info=error)
            is_gone = isinstance(error, ClientDisconnectedError)
            last = b"" if is_gone else b"data: %b\n\n" % sent_error.openai_body()
            await send({**body, "body": last, "more_body": False})
