"""Encode and run what a request asks for; cancel it at the deadline or on a disconnect."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

from fastapi import Request

from microgpt import IGNORED_ROLES, ChatPrompt, Continuation, Job, Message
from microgpt_serve.app_state import model_of, state_of
from microgpt_serve.choice import GeneratedChoice
from microgpt_serve.errors import ClientDisconnectedError, ServeError, route_path
from microgpt_serve.schemas import MAX_CHARACTERS, ChatMessage, Wanted
from microgpt_serve.served_models import ServedModel

WATCH_AFTER_S = 0.05  # delay before watching for a disconnect; most replies finish sooner
CHARACTERS_PER_TOKEN = 512  # validated or encoded in the time that a small model needs for a token
# Longer input is processed in a thread, because even input of this size takes a few ms.
MAX_INLINE_CHARS = 2_000  # maximum number of characters, plus 2 per message, to encode inline
T = TypeVar("T")


@dataclass
class Generation:
    """The texts that a request gets, whatever its route. They grow while its job runs."""

    request: Request
    model: ServedModel
    job: Job
    stop: Sequence[str]
    notes: Mapping[str, object]  # fields of the response about what the model does not read

    @cached_property
    def choices(self) -> list[GeneratedChoice]:
        """Return the choices, created on first use because many clients disconnect before that."""
        tokenizer = self.model.gpt.tokenizer
        return [GeneratedChoice(i, tokenizer, self.stop) for i in range(self.job.n_sequences)]

    @property
    def is_finished(self) -> bool:
        """Whether no choice grows any more."""
        return all(choice.finish_reason for choice in self.choices)

    async def steps(
        self, *, is_streamed: bool = False
    ) -> AsyncGenerator[list[GeneratedChoice], None]:
        """Run the job, and yield the choices that may have grown, until all are finished.

        Without a stream or stop strings, all grow at once. Closing the generator cancels the job.

        Raises:
            ServeError: the queue is full, the deadline has passed, or the client has disconnected.
        """
        if self.job.fixed:
            yield self._extend([self.job.fixed] * self.job.n_sequences)
            return
        state, changed = state_of(self.request), asyncio.Event()
        is_stepwise = is_streamed or bool(self.stop)
        queued = state.scheduler.submit(self.model.gpt, self.job, changed if is_stepwise else None)
        result = queued.result
        if is_stepwise:
            result.add_done_callback(lambda _: changed.set())
        try:
            with _watched(self.request, result):
                while is_stepwise and not result.done():
                    await changed.wait()
                    changed.clear()
                    if not result.done():
                        yield self._extend(queued.take())
                        if self.is_finished:
                            return
                yield self._extend(await result)
        finally:
            state.scheduler.cancel(queued)
            route = route_path(self.request.scope)
            state.metrics.count_tokens(route, self.model.name, queued.n_generated)

    async def finished(self) -> list[GeneratedChoice]:
        """Run the job, and return the choices. See `steps` for the exceptions."""
        async for _ in self.steps():
            pass
        return self.choices

    def _extend(self, continuations: Sequence[Continuation]) -> list[GeneratedChoice]:
        growing = [choice for choice in self.choices if not choice.finish_reason]
        for choice, more in zip(self.choices, continuations, strict=True):
            choice.extend(more)
        return growing


async def text_generation(
    request: Request, prompts: Sequence[str | Sequence[int]], wanted: Wanted
) -> Generation:
    """Encode prompts, each cut from the left to fit into the context."""
    model = model_of(request, wanted.model)
    encode = partial(model.gpt.text_job, wanted.n, prompts=prompts, **model.options(wanted))
    job = await run_function(request, encode, sum(map(len, prompts)))
    notes = {"tokens_dropped": job.tokens_dropped} if job.tokens_dropped else {}
    return Generation(request, model, job, wanted.stop, notes)


async def chat_generation(
    request: Request, messages: Sequence[ChatMessage], wanted: Wanted
) -> Generation:
    """Encode a conversation without its system messages; truncate it to fit into the context."""
    model = model_of(request, wanted.model)
    if not model.gpt.tokenizer.is_chat:
        raise ServeError(
            400, "this is not a chat model; use /microgpt/v1/generate or /v1/completions"
        )
    n_characters = sum(len(message.content) for message in messages)
    if n_characters > MAX_CHARACTERS:
        message = f"messages have {n_characters} characters; at most {MAX_CHARACTERS} are allowed"
        raise ServeError(400, message, field="messages")

    def encode() -> ChatPrompt:
        conversation = [
            Message(one.role, one.content)  # type: ignore[arg-type]
            for one in messages
            if one.role not in IGNORED_ROLES
        ]
        if not conversation:
            message = "messages has no user message; add one (the model ignores system messages)"
            raise ServeError(400, message, field="messages")
        return model.gpt.chat_prompt(conversation)

    size = n_characters + 2 * len(messages)
    prompt = await run_function(request, encode, size, n_objects=len(messages))
    job = model.gpt.reply_job(prompt, wanted.n, **model.options(wanted))
    notes = {
        "tokens_dropped": prompt.tokens_dropped,
        "unknown_characters": prompt.unknown_characters,
    }
    return Generation(request, model, job, wanted.stop, notes)


async def run_function(
    request: Request,
    function: Callable[[], T],
    n_characters: int,
    limit: int = MAX_INLINE_CHARS,
    n_objects: int = 0,
) -> T:
    """Validate or encode text; use the work queue's thread if it is longer than the limit.

    A JSON object, such as a message, counts as a token, because it takes memory.

    Raises:
        ServeError: the queue is full, the deadline has passed, or the client has disconnected.
    """
    if n_characters <= limit:
        return function()
    n_tokens = n_characters // CHARACTERS_PER_TOKEN + n_objects
    result = state_of(request).work.submit(function, n_tokens)
    with _watched(request, result):
        return await result


@contextmanager
def _watched(request: Request, result: asyncio.Future[Any]) -> Iterator[None]:
    """Make a future fail at its request's deadline or on a disconnect; cancel it on exit."""
    loop, state = asyncio.get_running_loop(), state_of(request)
    timeout_s = state.settings.timeout_s
    deadline = request.scope.setdefault("deadline", loop.time() + timeout_s)
    watcher: list[asyncio.Task[None]] = []

    async def watch() -> None:
        error = ServeError(504, f"the reply was not ready within {timeout_s:g} seconds")
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                error = ClientDisconnectedError()
        if not result.done():
            result.set_exception(error)

    timer = loop.call_at(
        min(deadline, loop.time() + WATCH_AFTER_S),
        lambda: watcher.append(asyncio.ensure_future(watch())),
    )
    state.n_running += 1
    try:
        yield
    finally:
        state.n_running -= 1
        result.cancel()
        timer.cancel()
        for task in watcher:
            task.cancel()
