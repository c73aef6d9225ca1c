"""Run generation jobs, and cancel jobs at the deadline or when the client disconnects."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress

from fastapi import Request

from microgpt.sampling import Continuation, Job
from microgpt_serve.app_state import AppState
from microgpt_serve.batch_scheduler import QueuedRequest
from microgpt_serve.errors import ClientDisconnectedError, ServeError
from microgpt_serve.served_model import ServedModel

WATCH_AFTER_S = 0.05  # delay before watching for a disconnect; most replies finish sooner


async def run_job(
    state: AppState, request: Request, model: ServedModel, job: Job
) -> list[Continuation]:
    """Run a job and return its continuations.

    Raises:
        ServeError: The service is shutting down, the queue is full, the deadline has passed, or the
            client has disconnected.
    """
    with _queued(state, request, model, job) as queued:
        queued.latest = continuations = await queued.result
        return continuations


async def stream_job(
    state: AppState, request: Request, model: ServedModel, job: Job
) -> AsyncGenerator[Sequence[Continuation], None]:
    """Yield the output so far whenever it grows, and finally the complete output.

    Closing the generator cancels the job. See `run_job` for the exceptions.
    """
    changed = asyncio.Event()
    with _queued(state, request, model, job, changed) as queued:
        queued.result.add_done_callback(lambda _: changed.set())
        while not queued.result.done():
            await changed.wait()
            changed.clear()
            if not queued.result.done():
                yield queued.latest
        queued.latest = queued.result.result()
        yield queued.latest


@contextmanager
def _queued(
    state: AppState,
    request: Request,
    model: ServedModel,
    job: Job,
    changed: asyncio.Event | None = None,
) -> Iterator[QueuedRequest]:
    """Queue a job. On exit, cancel it if it is unfinished, and count the generated tokens."""
    state.check_open()
    queued = state.scheduler.submit(model.gpt, job, changed)
    watcher: list[asyncio.Task[None]] = []
    timeout_s = state.settings.timeout_s
    delay_s = min(WATCH_AFTER_S, timeout_s)

    def watch() -> None:
        watcher.append(asyncio.ensure_future(_watch(request, queued, timeout_s, delay_s)))

    timer = state.scheduler.loop.call_later(delay_s, watch)
    state.n_running += 1
    try:
        yield queued
    finally:
        state.n_running -= 1
        state.scheduler.cancel(queued)
        timer.cancel()
        for task in watcher:
            task.cancel()
        n_tokens = sum(len(one.tokens) for one in queued.latest)
        state.metrics.tokens_of[request.scope["path"]].inc(n_tokens)


async def _watch(request: Request, queued: QueuedRequest, timeout_s: float, after_s: float) -> None:
    """Fail a request when the deadline passes or the client disconnects."""
    error = ServeError(504, f"the reply was not ready within {timeout_s:g} seconds")
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s - after_s):
            while (await request.receive())["type"] != "http.disconnect":
                pass
            error = ClientDisconnectedError()
    if not queued.result.done():
        queued.result.set_exception(error)
