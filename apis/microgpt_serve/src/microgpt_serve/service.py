"""What the routes of one app share: model, keys, queue, metrics, and whether it is closing."""

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import TypeVar

from fastapi import Request

from microgpt.batching.jobs import Continuation, Job
from microgpt.errors import MicrogptError
from microgpt_serve.batching import BatchScheduler, News, QueuedRequest, QueueFullError
from microgpt_serve.errors import RETRY_AFTER_S, ClientGoneError, ServeError
from microgpt_serve.keys import Keys
from microgpt_serve.metrics import Metrics
from microgpt_serve.served_model import ServedModel, load_model
from microgpt_serve.settings import Settings

LOG = logging.getLogger("microgpt_serve")
# A reply that takes longer is worth a task that watches whether the client is still there.
PATIENCE_S = 0.05
RELOAD_S = 120.0  # for the keys, and for the model; a network drive may never answer
# Characters, with two for each message, that are encoded on the event loop: some milliseconds at
# the most.
MOST_INLINE = 2_000
T = TypeVar("T")


class Service:
    """One app's model and what works on it."""

    def __init__(self, settings: Settings, model: ServedModel, metrics_routes: list[str]) -> None:
        self.settings = settings
        self.model = model
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self.keys = Keys(key, settings.api_keys_file)
        self.is_draining = False
        self._is_reloading = self._is_stale = False
        self.n_in_work = 0  # requests that were let in and have no reply yet
        self.n_body_bytes = 0  # of bodies that are being received or validated
        self.large_pieces = asyncio.Lock()  # they are received one after the other
        self._aside = ThreadPoolExecutor(1, "aside")
        self.metrics = Metrics(metrics_routes, lambda: self.generation.n_waiting)
        self.generation = BatchScheduler(settings.queue_limit, on_speed=self.metrics.observe_speed)
        self.metrics.show_model(model.name, model.version)

    async def aside(self, function: Callable[[], T]) -> T:
        """Return what a slow function returns, in a thread, one at a time.

        In several threads they would keep the event loop waiting for Python's lock.
        """
        return await asyncio.get_running_loop().run_in_executor(self._aside, function)

    async def generate(self, request: Request, model: ServedModel, job: Job) -> list[Continuation]:
        """Return what the model makes of a job.

        Raises:
            ServeError: the service is closing, the queue full, or the time over.
            ClientGoneError: nobody waits for it any more.
        """
        with self._in_work(request, model, job) as ticket:
            continuations = await ticket.done
        self._count(request, continuations)
        return continuations

    async def follow(
        self, request: Request, model: ServedModel, job: Job
    ) -> AsyncGenerator[list[Continuation], None]:
        """Yield what the model has made of a job so far, and at last all; see `generate`.

        Who takes one late gets the newest. Who wants no more closes the generator.
        """
        changed, latest = asyncio.Event(), list[Continuation]()

        def note(continuations: list[Continuation]) -> None:
            latest[:] = continuations
            changed.set()

        with self._in_work(request, model, job, on_news=note) as ticket:
            ticket.done.add_done_callback(lambda _: changed.set())
            try:
                while not ticket.done.done():
                    await changed.wait()
                    changed.clear()
                    if not ticket.done.done():
                        yield list(latest)
                latest[:] = ticket.done.result()
                yield list(latest)
            finally:
                self._count(request, latest)

    @contextlib.contextmanager
    def _in_work(
        self, request: Request, model: ServedModel, job: Job, on_news: News | None = None
    ) -> Iterator[QueuedRequest]:
        """Have a job worked on until it is done, or left."""
        self.check_open()
        try:
            ticket = self.generation.submit(model.gpt, job, on_news)
        except QueueFullError:
            raise ServeError(
                503, "the queue is full; try again soon", retry_after_s=RETRY_AFTER_S
            ) from None
        watch: list[asyncio.Task[None]] = []
        alarm = self.generation.loop.call_later(
            min(PATIENCE_S, self.settings.timeout_s),
            lambda: watch.append(asyncio.ensure_future(self._watch(request, ticket))),
        )
        self.n_in_work += 1
        try:
            yield ticket
        finally:
            self.n_in_work -= 1
            ticket.done.cancel()
            self.generation.give_up(ticket)
            alarm.cancel()
            for task in watch:
                task.cancel()

    def _count(self, request: Request, continuations: list[Continuation]) -> None:
        n_tokens = sum(len(one.tokens) for one in continuations)
        self.metrics.count_tokens(request.scope["path"], n_tokens)

    def check_open(self) -> None:
        """Raise ServeError if no more requests are taken."""
        if self.is_draining:
            raise self.closing()

    def closing(self) -> ServeError:
        """Return what is answered while the service ends."""
        retry_after_s = math.ceil(self.settings.timeout_s)
        return ServeError(503, "the service is shutting down", retry_after_s=retry_after_s)

    async def _watch(self, request: Request, ticket: QueuedRequest) -> None:
        """Fail a ticket that takes too long, or that nobody waits for any more."""
        timeout_s = self.settings.timeout_s
        error: Exception = ServeError(504, f"the reply was not ready within {timeout_s:g} seconds")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s - min(PATIENCE_S, timeout_s)):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                error = ClientGoneError()
        if not ticket.done.done():
            ticket.done.set_exception(error)

    async def reload(self) -> None:
        """Read keys and model again; if that fails with one of them, go on with what there is.

        The demo model gives way to one that has come, and never takes the place of one.
        Loads come one after the other, so that an older one never has the last word; those that are
        asked for during one become a single further one.
        """
        self._is_stale = True
        if self._is_reloading:
            return
        self._is_reloading = True
        try:
            while self._is_stale:  # again, if it was asked for meanwhile
                self._is_stale = False
                if self.settings.api_keys_file is not None:
                    await self._try(self._reload_keys, "the API keys are as before")
                await self._try(self._reload_model, f"{self.model} is still served")
        finally:
            self._is_reloading = False

    async def _try(self, reload: Callable[[], Awaitable[str]], otherwise: str) -> None:
        """Reload something, and note how that went."""
        try:
            async with asyncio.timeout(RELOAD_S) as limit:
                news = await reload()
        except Exception as error:
            self.metrics.count_reload(is_ok=False)
            is_known = isinstance(error, MicrogptError) or limit.expired()
            problem = f"it took more than {RELOAD_S:g} s" if limit.expired() else error
            LOG.error("reload failed, %s: %s", otherwise, problem, exc_info=not is_known)
            return
        self.metrics.count_reload(is_ok=True)
        LOG.info("reloaded: %s", news)

    async def _reload_keys(self) -> str:
        # Set here, not in the thread: one that was given up must not bring old keys back.
        self.keys.names = await _in_daemon(self.keys.read)
        return f"API keys ({len(self.keys.names)})"

    async def _reload_model(self) -> str:
        directory, or_demo = self.settings.model_dir, self.model.is_demo
        model = await _in_daemon(lambda: load_model(directory, LOG.info, or_demo=or_demo))
        self.model = model
        self.metrics.show_model(model.name, model.version)
        return str(model)


async def _in_daemon(function: Callable[[], T]) -> T:
    """Return what a function returns, in a thread that the end of the process does not wait for.

    Raises:
        MicrogptError: the function raised it.
        RuntimeError: it raised anything else; a panic of the tokenizers library is no Exception.
    """
    future: Future[T] = Future()

    def run() -> None:
        with contextlib.suppress(InvalidStateError):  # it took too long, and nobody waits
            try:
                future.set_result(function())
            except MicrogptError as error:
                future.set_exception(error)
            except BaseException as error:
                fault = RuntimeError(f"{type(error).__name__}: {error}")
                fault.__cause__ = error
                future.set_exception(fault)

    threading.Thread(target=run, name="reload", daemon=True).start()
    return await asyncio.wrap_future(future)


def service_of(request: Request) -> Service:
    """Return the service of the app that handles a request."""
    service: Service = request.app.state.service
    return service
