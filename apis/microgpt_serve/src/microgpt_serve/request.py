"""What every route asks of a model: one `Request`, and the stream of pieces that answers it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from microgpt import Job
from microgpt_serve.arrival import POLL_S
from microgpt_serve.choice import GeneratedChoice
from microgpt_serve.errors import QueueFullError, ServeError
from microgpt_serve.metrics import Metrics
from microgpt_serve.models import ServedModel, ServedModels
from microgpt_serve.scheduler import BatchScheduler
from microgpt_serve.settings import ServiceSettings

QUEUE_LIMIT = 64  # maximum number of waiting requests; small ones count less
# Longer bodies are processed in a thread, because even bodies of this size take a few ms.
MAX_INLINE_BYTES = 4_000
LONG_S = 0.002  # after a function that took longer, and may have held the GIL, the thread rests
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What a client asks for, whatever the route."""

    model: ServedModel
    job: Job  # tokens of the prompts, a seed for each choice, the sampling and max_tokens
    notes: Mapping[str, object]  # the response has them
    stop: Sequence[str] = ()
    prompt: str = ""  # each text of microgpt's own API begins with it
    is_streamed: bool = False
    wants_usage: bool = False  # whether a stream ends with the token counts


class Service:
    """What all requests share: the models, the threads that generate, and the metrics."""

    def __init__(
        self, settings: ServiceSettings, models: ServedModels, addresses: Sequence[str]
    ) -> None:
        self.settings, self.models, self.addresses = settings, models, addresses
        self.scheduler = BatchScheduler(QUEUE_LIMIT)
        routes = [address.rpartition(" ")[2] for address in addresses]
        self.metrics = Metrics(routes, models)
        self.metrics.queue_length.set_function(lambda: self.scheduler.n_waiting)
        # One thread: with several, the event loop would often wait for the GIL.
        self._worker = ThreadPoolExecutor(1, "work")
        self._n_working = 0

    def close(self) -> None:
        """Stop the threads."""
        self.scheduler.close()
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def run(self, http: HttpRequest, function: Callable[[], T]) -> T:
        """Validate or encode a body; in a thread, one at a time, if it is long."""
        if http.scope["n_bytes"] <= MAX_INLINE_BYTES:
            return function()
        if self._n_working >= QUEUE_LIMIT:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        result = loop.run_in_executor(self._worker, _unhurried, function)
        self._n_working += 1
        try:
            return await self._settled(http, result)
        finally:
            self._n_working -= 1
            result.cancel()

    async def pieces(
        self, http: HttpRequest, request: Request
    ) -> AsyncGenerator[list[GeneratedChoice], None]:
        """Run a job, and yield its choices each time they have grown; to close this cancels it."""
        job, tokenizer = request.job, request.model.gpt.tokenizer
        choices = [GeneratedChoice(i, tokenizer, request.stop) for i in range(job.n_sequences)]
        if job.fixed:
            for choice in choices:
                choice.extend(job.fixed)
            yield choices
            return
        is_live = request.is_streamed or bool(request.stop)
        queued = self.scheduler.submit(request.model.gpt, job, is_live=is_live)
        queued.count = self.metrics.tokens[request.model.name].inc
        try:
            while not all(choice.finish_reason for choice in choices):
                await self._settled(http, queued.ready)
                for output in queued.take():
                    for choice, more in zip(choices, output, strict=True):
                        choice.extend(more)
                yield choices
        finally:
            self.scheduler.cancel(queued)

    async def _settled(self, http: HttpRequest, future: asyncio.Future[T]) -> T:
        """Wait for a future, until the deadline of its request or until the client disconnects."""
        loop, deadline = asyncio.get_running_loop(), http.scope["deadline"]
        while True:
            now = loop.time()
            if now >= deadline:
                limit_s = self.settings.timeout_s
                raise ServeError(504, f"the reply was not ready within {limit_s:g} seconds")
            if now >= http.scope["look_at"]:
                http.scope["look_at"] = now + POLL_S
                if await http.is_disconnected():
                    raise ClientDisconnect
            if future.done():
                return future.result()
            await asyncio.wait([future], timeout=min(deadline - now, POLL_S))


def service_of(http: HttpRequest) -> Service:
    """Return the service that handles an HTTP request."""
    service: Service = http.app.state.service
    return service


def _unhurried(function: Callable[[], T]) -> T:
    """Call a function; if it took long, leave the GIL to others for as long as it took."""
    started = perf_counter()
    try:
        return function()
    finally:
        if (seconds := perf_counter() - started) > LONG_S:
            sleep(seconds)
