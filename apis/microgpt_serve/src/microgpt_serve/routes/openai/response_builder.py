"""Complete responses to OpenAI-compatible requests, and streams of server-sent events."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, TypeVar
from uuid import uuid4

from fastapi import Request
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from microgpt.sampling import Continuation, Job
from microgpt.steps import Steps, finish
from microgpt_serve.app_state import AppState
from microgpt_serve.errors import ClientDisconnectedError, ServeError, as_serve_error
from microgpt_serve.generation import run_function, run_job, run_steps, stream_job
from microgpt_serve.routes.body import JSON_TYPE
from microgpt_serve.routes.openai.choice import GeneratedChoice, TextUpdate
from microgpt_serve.routes.openai.log_probabilities import LogProbabilities
from microgpt_serve.routes.openai.request_schemas import OpenAIRequest
from microgpt_serve.routes.openai.response_schemas import Usage
from microgpt_serve.served_model import ServedModel

LOG = logging.getLogger("microgpt_serve")
DONE = b"data: [DONE]\n\n"
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
        self._log_probabilities: LogProbabilities | None = None
        if self.n_top_logprobs is not None:
            self._log_probabilities = LogProbabilities(
                self.model.gpt, self.job, self.n_top_logprobs, is_stream=bool(self.body.stream)
            )
            has_new = self.body.max_tokens != 0
            self._log_probabilities.check_size(self.echoes, has_new=has_new)
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
        prompts = self.job.prompts
        pairs = zip(prompts, self.echoes or [()] * len(prompts), strict=True)
        given = [(prompt, echo, tokenizer.decode(echo)) for prompt, echo in pairs]
        repeated = [one for one in given for _ in self.job.seeds]
        return [
            GeneratedChoice(i, tokenizer, stop=stop, prompt=prompt, echo=echo, echo_text=text)
            for i, (prompt, echo, text) in enumerate(repeated)
        ]

    @abstractmethod
    def choice_object(self, choice: GeneratedChoice, update: TextUpdate) -> JsonObject:
        """Return a choice, or a streamed update to it, as a JSON object."""

    @abstractmethod
    def chunks(self, choice: GeneratedChoice, update: TextUpdate) -> list[JsonObject]:
        """Return the stream events for an update to a choice."""

    async def respond(self) -> Response:
        """Return the complete response, or an event stream if the request sets `stream`."""
        if (form := self.body.response_format) and form.type != "text":
            if self.model.gpt.known_questions:
                message = "the model gives fixed replies; omit response_format"
                raise ServeError(400, message, field="response_format")
            grammar = await run_function(self.state, self.request, form.grammar, 1, 0)
            self.job = replace(self.job, grammar=grammar)
        if self.body.stream:
            return EventStream(self._events())
        async for _ in self._generate():
            pass
        return Response(await self._run(self._whole_body(), self._n_read), media_type=JSON_TYPE)

    def _whole_body(self) -> Steps[bytes]:
        choices = list[bytes]()
        for choice in self.choices:
            update = yield from self._update(choice)
            choices.append(to_json(self.choice_object(choice, update)))
        rest = to_json({**self.head, **self.extra, "usage": self._usage()})
        return b'%b,"choices":[%b]}' % (rest[:-1], b",".join(choices))

    async def _events(self) -> AsyncGenerator[bytes, None]:
        """Yield encoded events as the choices grow, ending with DONE."""
        open_choices = self.choices

        def new_events() -> Steps[bytes]:
            events = list[bytes]()
            for choice in open_choices:
                update = yield from self._update(choice)
                events += map(event, self.chunks(choice, update))
            return b"".join(events)

        n_bytes = self._log_probabilities.n_bytes if self._log_probabilities else 0
        with self.state.reader_memory(n_bytes):
            async with aclosing(self._generate()) as steps:
                async for _ in steps:
                    events = await self._run(new_events())
                    open_choices = [one for one in open_choices if not one.finish_reason]
                    if events and open_choices:
                        yield events
        if self.body.includes_usage:
            events += event({**self.head, "choices": [], "usage": self._usage()})
        yield events + DONE

    async def _generate(self) -> AsyncGenerator[None, None]:
        """Extend the choices until all are finished. Yield after each extension."""
        if self.body.max_tokens == 0:
            self._extend([Continuation([], "length")] * len(self.choices))
            yield
            return
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

    async def _run(self, steps: Steps[T], n_tokens: int = 0) -> T:
        """Run steps, in a thread if they compute log-probabilities, because this is slow."""
        if self._log_probabilities is None:
            return finish(steps)
        is_begun = self.body.max_tokens != 0  # otherwise, it has not been in the queue
        n_tokens = n_tokens if is_begun else self._n_read
        return await run_steps(self.state, self.request, steps, n_tokens, is_begun=is_begun)

    def _update(self, choice: GeneratedChoice) -> Steps[TextUpdate]:
        if self._log_probabilities is None:
            return choice.update()
        return (yield from self._log_probabilities.add_to(choice, choice.update()))

    @property
    def _n_new(self) -> int:
        return sum(choice.n_tokens for choice in self.choices)

    @property
    def _n_read(self) -> int:
        """Number of tokens whose log-probabilities are computed, but at least 1."""
        return 1 + self._n_new + sum(len(choice.prompt) for choice in self.choices)

    def _usage(self) -> Usage:
        n_prompt = sum(map(len, self.job.prompts))
        n_new = self._n_new
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
