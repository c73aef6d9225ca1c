"""The state that the routes share: model, API keys, queue, metrics; deadlines and reload."""

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from microgpt.batching.jobs import Job
from microgpt.errors import MicrogptError
from microgpt.sampling import Continuation
from microgpt_serve.batch_scheduler import BatchScheduler, QueuedRequest
from microgpt_serve.errors import ClientGoneError, ServeError
from microgpt_serve.metrics import Metrics
from microgpt_serve.middleware.auth import ApiKeys
from microgpt_serve.served_model import ServedModel, load_model
from microgpt_serve.settings import Settings

LOG = logging.getLogger("microgpt_serve")
WATCH_AFTER_S = 0.05  # a reply that takes longer is worth a task that watches the client
RELOAD_S = 120.0  # for the keys, and for the model; a network drive may never answer
T = TypeVar("T")


class AppState:
    """The state of one app."""

    def __init__(self, settings: Settings, model: ServedModel, routes: list[str]) -> None:
        self.settings = settings
        self.model = model
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self.keys = ApiKeys(key, settings.api_keys_file)
        self.is_draining = False
        self._is_reloading = self._is_stale = False
        self.n_running = 0  # requests that are queued or worked on
        self.n_body_bytes = 0  # of bodies that are being received or validated
        self.large_pieces = asyncio.Lock()  # they are received one after the other
        self._executor = ThreadPoolExecutor(1, "blocking")
        self.metrics = Metrics(routes, lambda: self.scheduler.n_waiting)
        self.scheduler = BatchScheduler(settings.queue_limit, on_speed=self.metrics.observe_speed)
        self.metrics.set_model(model.name, model.version)

    async def call(self, function: Callable[[], T], *, is_slow: bool) -> T:
        """Call a function, in a thread if it is slow: one at a time.

        Several threads would keep the event loop waiting for Python's lock.
        """
        if not is_slow:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def generate(self, request: Request, model: ServedModel, job: Job) -> list[Continuation]:
        """Return the continuations of a job.

        Raises:
            ServeError: the service is closing, the queue full, the time over, or the client gone.
        """
        with self._queued(request, model, job) as queued:
            queued.latest = continuations = await queued.result
            return continuations

    async def stream(
        self, request: Request, model: ServedModel, job: Job
    ) -> AsyncGenerator[Sequence[Continuation], None]:
        """Yield the newest state of the continuations, and at last the whole; see `generate`.

        Closing the generator stops the work.
        """
        changed = asyncio.Event()
        with self._queued(request, model, job, changed) as queued:
            queued.result.add_done_callback(lambda _: changed.set())
            while not queued.result.done():
                await changed.wait()
                changed.clear()
                if not queued.result.done():
                    yield queued.latest
            queued.latest = queued.result.result()
            yield queued.latest

    @contextlib.contextmanager
    def _queued(
        self, request: Request, model: ServedModel, job: Job, changed: asyncio.Event | None = None
    ) -> Iterator[QueuedRequest]:
        """Queue a job; at the end cancel what is left of it, and count the tokens."""
        self.check_open()
        queued = self.scheduler.submit(model.gpt, job, changed)
        watcher: list[asyncio.Task[None]] = []
        timer = self.scheduler.loop.call_later(
            min(WATCH_AFTER_S, self.settings.timeout_s),
            lambda: watcher.append(asyncio.ensure_future(self._watch(request, queued))),
        )
        self.n_running += 1
        try:
            yield queued
        finally:
            self.n_running -= 1
            self.scheduler.cancel(queued)
            timer.cancel()
            for task in watcher:
                task.cancel()
            n_tokens = sum(len(one.tokens) for one in queued.latest)
            self.metrics.tokens_of[request.scope["path"]].inc(n_tokens)

    async def _watch(self, request: Request, queued: QueuedRequest) -> None:
        """Fail a request at its deadline, or when its client has gone."""
        timeout_s = self.settings.timeout_s
        error = ServeError(504, f"the reply was not ready within {timeout_s:g} seconds")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s - min(WATCH_AFTER_S, timeout_s)):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                error = ClientGoneError()
        if not queued.result.done():
            queued.result.set_exception(error)

    def check_open(self) -> None:
        """Raise ServeError if the service is shutting down."""
        if self.is_draining:
            raise self.closing_error()

    def closing_error(self) -> ServeError:
        """Return the error for requests during the shutdown."""
        retry_after_s = math.ceil(self.settings.timeout_s)
        return ServeError(503, "the service is shutting down", retry_after_s=retry_after_s)

    async def reload(self) -> None:
        """Read the keys and load the model again; what fails is logged and stays as it is.

        Reloads do not overlap: those that are asked for during one become a single further one. The
        demo model is replaced by a new `output`, and never replaces a model.
        """
        self._is_stale = True
        if self._is_reloading:
            return
        self._is_reloading = True
        try:
            while self._is_stale:
                self._is_stale = False
                if self.settings.api_keys_file is not None:
                    await self._try_reload(self._reload_keys, "the API keys are as before")
                await self._try_reload(self._reload_model, f"{self.model} is still served")
        finally:
            self._is_reloading = False

    async def _try_reload(self, reload: Callable[[], Awaitable[str]], otherwise: str) -> None:
        try:
            async with asyncio.timeout(RELOAD_S) as limit:
                reloaded = await reload()
        except Exception as error:
            self.metrics.reloads_failed.inc()
            is_known = isinstance(error, MicrogptError) or limit.expired()
            problem = f"it took more than {RELOAD_S:g} s" if limit.expired() else error
            LOG.error("reload failed, %s: %s", otherwise, problem, exc_info=not is_known)
        else:
            self.metrics.reloads_ok.inc()
            LOG.info("reloaded: %s", reloaded)

    async def _reload_keys(self) -> str:
        # Set here, not in the thread: one that has timed out must not bring old keys back.
        self.keys.hashes = await _in_daemon_thread(self.keys.read)
        return f"API keys ({len(self.keys.hashes)})"

    async def _reload_model(self) -> str:
        directory, or_demo = self.settings.model_dir, self.model.is_demo
        model = await _in_daemon_thread(lambda: load_model(directory, LOG.info, or_demo=or_demo))
        self.model = model
        self.metrics.set_model(model.name, model.version)
        return str(model)


async def _in_daemon_thread(function: Callable[[], T]) -> T:
    """Call a function in a thread that does not keep the process from exiting.

    A RuntimeError stands for what is no MicrogptError: a panic of the tokenizers library is no
    Exception.
    """
    future: Future[T] = Future()

    def run() -> None:
        with contextlib.suppress(InvalidStateError):  # it has timed out
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


async def get_service(request: Request) -> AppState:
    """Return the service of the app that handles a request."""
    service: AppState = request.app.state.service
    return service


ServiceDep = Annotated[AppState, Depends(get_service)]
