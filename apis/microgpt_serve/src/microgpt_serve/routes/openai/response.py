"""What a client of OpenAI's API gets for a request: whole, or as a stream of events."""

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property
from itertools import chain, repeat, zip_longest
from typing import TypeVar

from fastapi import Request
from pydantic_core import to_json
from starlette.responses import Response

from microgpt.batching.jobs import Continuation, Job
from microgpt_serve.routes.body import JSON_TYPE
from microgpt_serve.routes.openai.choice import Choice, TextUpdate
from microgpt_serve.routes.openai.requests import Options
from microgpt_serve.routes.openai.schemas import ResponseBase, Usage
from microgpt_serve.routes.openai.server_sent_events import DONE, EventStream, event
from microgpt_serve.routes.openai.token_names import TokenNames
from microgpt_serve.served_model import ServedModel
from microgpt_serve.service import service_of

SEED_BITS = 53  # a whole number that every JSON reader can hold
T = TypeVar("T")
Message = Mapping[str, object]  # one of `answers`


class ResponseBuilder(ABC):
    """The choices of one request in the making, and how they are told."""

    def __init__(
        self,
        request: Request,
        options: Options,
        model: ServedModel,
        job: Job,
        echoes: Sequence[Sequence[int]] = (),
    ) -> None:
        """Begin; the tokens of its prompt's echo are told before each text."""
        tokenizer, stop = model.gpt.tokenizer, options.stop or ()
        prompts = zip_longest(job.prompts, echoes, fillvalue=())
        self.choices = [
            Choice(i, tokenizer, stop=stop, prompt=prompt, echo=echo)
            for i, (prompt, echo) in enumerate(
                chain.from_iterable(repeat(pair, len(job.seeds)) for pair in prompts)
            )
        ]
        self._request, self._options, self._model, self._job = request, options, model, job
        self._created = int(time.time())

    @cached_property
    def names(self) -> TokenNames:
        """The names of the model's tokens: thousands, which few requests ask for."""
        return TokenNames(self._model.gpt.tokenizer)

    async def respond(self) -> Response:
        """Return the response of the route."""
        if self._options.stream:
            return EventStream(self._events())
        async with aclosing(self._growth()) as growth:
            async for _ in growth:
                pass
        body = await self._made(lambda: to_json(self.whole()))
        return Response(body, media_type=JSON_TYPE)

    @property
    @abstractmethod
    def has_logprobs(self) -> bool:
        """Whether it is told how likely each token was."""

    @abstractmethod
    def whole(self) -> Message:
        """Return the answer with all choices."""

    @abstractmethod
    def pieces(self, choice: Choice) -> list[Message]:
        """Return what there is to tell of a choice since it was asked last."""

    @abstractmethod
    def last(self) -> Message:
        """Return the message that tells of no choice, but of the tokens."""

    def head(self, kind: str, prefix: str) -> ResponseBase:
        """Return what each message begins with."""
        return {
            "id": f"{prefix}-{self._request.scope['request_id']}",
            "object": kind,
            "created": self._created,
            "model": self._model.name,
            "system_fingerprint": self._model.version,
        }

    def usage(self) -> Usage:
        """Return the tokens that were read and written."""
        n_read = sum(map(len, self._job.prompts))
        n_written = sum(len(one.tokens) for one in self.choices)
        return {
            "prompt_tokens": n_read,
            "completion_tokens": n_written,
            "total_tokens": n_read + n_written,
        }

    def log_probabilities(self, choice: Choice, news: TextUpdate) -> list[list[float] | None]:
        """Return how likely each new token of a choice was, and all others in its place.

        There is None for a token that nothing came before.
        """
        if not news.tokens:
            return []
        known = len(choice.prompt) + len(choice.tokens) + (choice.stop_token is not None)
        first = known - len(news.tokens) - 1  # after this token the first of them came
        read = [*choice.prompt, *choice.tokens][: known - 1]
        rows = self._model.gpt.log_probabilities(read, max(first, 0)) if read else []
        return [*([None] if first < 0 else []), *rows]

    async def _growth(self) -> AsyncGenerator[None, None]:
        """Let the choices grow; yield each time that they have, until all are there."""
        if self._options.max_tokens == 0:
            for choice in self.choices:
                choice.grow(Continuation([], "length"))
            yield
            return
        service = service_of(self._request)
        async with aclosing(service.follow(self._request, self._model, self._job)) as news:
            async for continuations in news:
                for choice, continuation in zip(self.choices, continuations, strict=True):
                    choice.grow(continuation)
                yield
                if all(choice.finish_reason for choice in self.choices):
                    return

    async def _events(self) -> AsyncGenerator[bytes, None]:
        """Yield what there is to tell, as soon as there is."""
        told: set[int] = set()
        async with aclosing(self._growth()) as growth:
            async for _ in growth:
                events = await self._made(lambda: self._events_of_news(told))
                if len(told) == len(self.choices):
                    break
                if events:
                    yield events
        if self._options.includes_usage:
            events += event(self.last())
        yield events + DONE

    def _events_of_news(self, told: set[int]) -> bytes:
        """Return what there is to tell of the choices that are not told to their end."""
        messages = list[Message]()
        for choice in self.choices:
            if choice.index not in told:
                messages += self.pieces(choice)
            if choice.finish_reason:
                told.add(choice.index)
        return b"".join(map(event, messages))

    async def _made(self, make: Callable[[], T]) -> T:
        """Return what a function makes; in a thread if that takes long, so that others go on."""
        return await asyncio.to_thread(make) if self.has_logprobs else make()


def new_seed(options: Options) -> int:
    """Return the seed that the client gives, or a random one."""
    return secrets.randbits(SEED_BITS) if options.seed is None else options.seed
