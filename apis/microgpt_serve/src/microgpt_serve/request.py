"""Requests to a model, independent of the route, and the choices generated for a request."""

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from microgpt import Continuation, FinishReason, Job, Tokenizer
from microgpt_serve.middleware import POLL_S
from microgpt_serve.models import ServedModel, ServedModels
from microgpt_serve.observability import Metrics
from microgpt_serve.scheduler import QUEUE_LIMIT, BatchScheduler
from microgpt_serve.service_errors import QueueFullError, ServeError
from microgpt_serve.service_settings import ServiceSettings

# Longer bodies are processed in a thread; a body of this size already takes a few ms.
MAX_INLINE_BYTES = 4_000
LONG_S = 0.002  # in seconds; a shorter call hardly delays other threads (see `_unhurried`)
REPLACEMENT_CHARACTER = "\N{REPLACEMENT CHARACTER}"  # result of decoding an incomplete character
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """A client's request, in the same form for all routes."""

    model: ServedModel
    job: Job  # the prompts' tokens, a seed per choice, the sampling settings and max_tokens
    notes: Mapping[str, object]  # fields to add to the response
    stop: Sequence[str] = ()
    prompt: str = ""  # prepended to each text in responses of /microgpt/v1/generate
    is_streamed: bool = False
    wants_usage: bool = False  # whether a stream ends with the token counts


class GeneratedChoice:
    """Text that grows during generation, with its number of tokens and its finish reason."""

    def __init__(self, index: int, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        """Create an empty choice. Its text is truncated before the first stop string."""
        self.index = index
        self.text = ""  # generated text that can no longer change
        self.n_tokens = 0  # number of tokens in the text
        self.n_sent = 0  # number of characters that `new_text` has returned
        self.is_sent = False  # whether a stream has sent the end of the text
        self.finish_reason: FinishReason | None = None
        self._tokenizer, self._stop = tokenizer, tuple(stop)
        self._received = array("I")  # all generated tokens
        self._decoded = 0, 0  # number of tokens and characters up to the last complete character

    def extend(self, continuation: Continuation) -> None:
        """Add new tokens, truncate the text at the first stop string, and set the finish reason."""
        if self.finish_reason:
            return
        decode, tokens = self._tokenizer.decode, self._received
        tokens.extend(continuation.tokens)
        start, n_characters = self._decoded
        decoded = text = self.text[:n_characters] + decode(tokens[start:])
        if continuation.finish_reason is None:
            text = text.rstrip(REPLACEMENT_CHARACTER)
        n_stable = len(self.text)
        found = [(text.find(stop, n_stable), len(stop)) for stop in self._stop]
        cuts = [(place + size, place) for place, size in found if place >= 0]
        self.text = text[: min(cuts)[1]] if cuts else text  # cut at the stop string that ends first
        if len(self.text) < len(text):
            self.finish_reason = "stop"
        elif continuation.finish_reason:
            self.finish_reason = continuation.finish_reason
        else:
            self.text = stable_prefix(text, self._stop, n_stable)
        self.n_tokens = len(tokens)
        if len(self.text) < len(decoded):  # do not count tokens of the stop string or after it
            ends, size = range(start, len(tokens) + 1), len(self.text) - n_characters
            n_kept = bisect_right(ends, size, key=lambda end: len(decode(tokens[start:end])))
            self.n_tokens = start + n_kept - 1
            decoded = self.text[:n_characters] + decode(tokens[start : self.n_tokens])
        if not decoded.endswith(REPLACEMENT_CHARACTER):
            self._decoded = self.n_tokens, len(decoded)

    def new_text(self) -> str:
        """Return the text that was added since the last call."""
        text, self.n_sent = self.text[self.n_sent :], len(self.text)
        return text


def stable_prefix(text: str, stop: tuple[str, ...], n_stable: int = 0) -> str:
    """Return the prefix of an unfinished text that later tokens cannot change.

    The rest can be an incomplete character or the start of a stop string.
    """
    text = text.rstrip(REPLACEMENT_CHARACTER)
    longest = max(map(len, stop), default=1)
    for start in range(max(n_stable, len(text) - longest + 1), len(text)):
        if any(string.startswith(text[start:]) for string in stop):
            return text[:start]
    return text


class Service:
    """State that all requests share: the models, the generation threads and the metrics."""

    def __init__(
        self, settings: ServiceSettings, models: ServedModels, addresses: Sequence[str]
    ) -> None:
        self.settings, self.models, self.addresses = settings, models, addresses
        self.scheduler = BatchScheduler(QUEUE_LIMIT)
        routes = [address.rpartition(" ")[2] for address in addresses]
        self.metrics = Metrics(routes, models)
        self.metrics.queue_length.set_function(lambda: self.scheduler.n_waiting)
        # With more than one thread, the event loop would often wait for the GIL.
        self._worker = ThreadPoolExecutor(1, "work")
        self._n_working = 0

    def close(self) -> None:
        """Stop the generation threads and the worker thread."""
        self.scheduler.close()
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def run(self, http: HttpRequest, function: Callable[[], T]) -> T:
        """Call a function that validates or encodes a body, in a thread if the body is long."""
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
        """Run a job and yield its choices when they grow; closing the generator cancels the job."""
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
        """Return a future's result; raise if the deadline passes or the client disconnects."""
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
    """Call a function; if it takes long, sleep equally long, to leave the GIL to other threads."""
    started = perf_counter()
    try:
        return function()
    finally:
        if (seconds := perf_counter() - started) > LONG_S:
            sleep(seconds)
