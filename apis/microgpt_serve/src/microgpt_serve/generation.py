"""Run jobs, checks and encodings, and cancel them at the deadline or on a disconnect."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from fastapi import Request

from microgpt import IGNORED_ROLES, ChatPrompt, Continuation, Job, Message
from microgpt_serve.app_state import AppState
from microgpt_serve.batch_scheduler import QueuedRequest
from microgpt_serve.errors import ClientDisconnectedError, ServeError, route_path
from microgpt_serve.schemas import MAX_CHARACTERS, ChatMessage
from microgpt_serve.served_models import ServedModel

WATCH_AFTER_S = 0.05  # delay before watching for a disconnect; most replies finish sooner
CHARACTERS_PER_TOKEN = 512  # validated or encoded in the time that a small model needs for a token
# Longer input is processed in a thread, because even input of this size takes a few ms.
MAX_INLINE_CHARS = 2_000  # maximum number of characters, plus 2 per message, to encode inline
T = TypeVar("T")


async def run_function(
    state: AppState,
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
    result = state.work.submit(function, n_characters // CHARACTERS_PER_TOKEN + n_objects)
    with _watched(state, request, result):
        return await result


async def encode_messages(
    messages: Sequence[ChatMessage], model: ServedModel, request: Request, state: AppState
) -> ChatPrompt:
    """Encode a conversation without its system messages; truncate it to fit into the context."""
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
    return await run_function(state, request, encode, size, n_objects=len(messages))


async def run_job(
    state: AppState, request: Request, model: ServedModel, job: Job
) -> list[Continuation]:
    """Run a job and return its continuations.

    Raises:
        ServeError: the queue is full, the deadline has passed, or the client has disconnected.
    """
    if job.fixed:
        return [job.fixed] * job.n_sequences
    with _queued(state, request, model, job) as queued:
        return await queued.result


async def stream_job(
    state: AppState, request: Request, model: ServedModel, job: Job
) -> AsyncGenerator[Sequence[Continuation], None]:
    """Yield new output as it becomes available, and finally the rest.

    Closing the generator cancels the job. See `run_job` for the exceptions.
    """
    if job.fixed:
        yield [job.fixed] * job.n_sequences
        return
    changed = asyncio.Event()
    with _queued(state, request, model, job, changed) as queued:
        queued.result.add_done_callback(lambda _: changed.set())
        while not queued.result.done():
            await changed.wait()
            changed.clear()
            if not queued.result.done():
                yield queued.take()
        yield queued.result.result()


@contextmanager
def _queued(
    state: AppState,
    request: Request,
    model: ServedModel,
    job: Job,
    changed: asyncio.Event | None = None,
) -> Iterator[QueuedRequest]:
    """Queue a job. On exit, cancel it if it is unfinished, and count the generated tokens."""
    queued = state.scheduler.submit(model.gpt, job, changed)
    try:
        with _watched(state, request, queued.result):
            yield queued
    finally:
        state.scheduler.cancel(queued)
        state.metrics.count_tokens(route_path(request.scope), model.name, queued.n_generated)


@contextmanager
def _watched(state: AppState, request: Request, result: asyncio.Future[Any]) -> Iterator[None]:
    """Make a future fail at its request's deadline or on a disconnect; cancel it on exit."""
    loop, timeout_s = asyncio.get_running_loop(), state.settings.timeout_s
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
    try:
        with state.running():
            yield
    finally:
        result.cancel()
        timer.cancel()
        for task in watcher:
            task.cancel()
