"""State shared by all routes: the model, API keys, request queue and metrics."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from microgpt_serve.batch_scheduler import BatchScheduler
from microgpt_serve.errors import ServeError
from microgpt_serve.metrics import Metrics
from microgpt_serve.middleware.auth import ApiKeys
from microgpt_serve.served_model import ServedModel
from microgpt_serve.settings import Settings

T = TypeVar("T")


class AppState:
    """State of an app, shared by all requests."""

    def __init__(self, settings: Settings, model: ServedModel, routes: list[str]) -> None:
        self.settings = settings
        self.model = model
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self.keys = ApiKeys(key, settings.api_keys_file)
        self.metrics = Metrics(routes, lambda: self.scheduler.n_waiting)
        self.metrics.set_model(model.name, model.version)
        self.scheduler = BatchScheduler(settings.queue_limit, on_speed=self.metrics.observe_speed)
        self.is_draining = False
        self.n_running = 0  # number of queued or running requests
        self.n_body_bytes = 0  # total size of bodies being received or validated
        self.large_body_lock = asyncio.Lock()  # held while pausing between chunks of a large body
        self._executor = ThreadPoolExecutor(1, "blocking")

    async def call(self, function: Callable[[], T], *, is_slow: bool) -> T:
        """Call a function and return its result; slow functions run on the executor thread.

        The executor has one thread; with several, the event loop would often wait for the GIL.
        """
        if not is_slow:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    def check_open(self) -> None:
        """Raise ServeError if the service is shutting down."""
        if self.is_draining:
            raise self.shutdown_error()

    def shutdown_error(self) -> ServeError:
        """Return the error to send to requests during shutdown."""
        retry_after_s = math.ceil(self.settings.timeout_s)
        return ServeError(503, "the service is shutting down", retry_after_s=retry_after_s)


async def get_state(request: Request) -> AppState:
    """Return the state of the app that handles a request."""
    state: AppState = request.app.state.app_state
    return state


StateDep = Annotated[AppState, Depends(get_state)]
