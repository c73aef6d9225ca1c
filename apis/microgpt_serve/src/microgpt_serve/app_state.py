"""State shared by all routes: the models, API keys, request queue and metrics."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request

from microgpt.resource_limits import n_cpus
from microgpt_serve.batch_scheduler import BatchScheduler
from microgpt_serve.errors import QueueFullError, ServeError
from microgpt_serve.metrics import Metrics
from microgpt_serve.middleware.keys_and_rate_limit import ApiKeys
from microgpt_serve.model_pages import ModelPages
from microgpt_serve.reload import Reloader
from microgpt_serve.served_model import ServedModel
from microgpt_serve.served_models import ServedModels
from microgpt_serve.settings import Settings
from microgpt_serve.work_queue import WorkQueue

MAX_READER_BYTES = 2**27  # memory for the log-probabilities of all streams, or of one choice


class AppState:
    """State of an app, shared by all requests."""

    def __init__(
        self,
        settings: Settings,
        models: ServedModels | ServedModel,
        routes: list[str],
        *,
        keys: ApiKeys | None = None,
        folder: str | None = None,
    ) -> None:
        self.settings = settings
        if isinstance(models, ServedModel):
            models = ServedModels({models.name: models})
        self.models = models
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self.keys = keys or ApiKeys(key, settings.api_keys_file)
        self.metrics = Metrics(
            routes, lambda: self.scheduler.n_waiting + self.work.n_waiting, folder
        )
        self.metrics.set_models(self.models.by_name)
        self.reloader = Reloader(self)
        self.scheduler = BatchScheduler(
            settings.queue_limit,
            n_threads=math.ceil(n_cpus() / settings.processes),
            on_speed=self.metrics.observe_speed,
        )
        self.work = WorkQueue(
            settings.queue_limit, lambda: min(model.max_turns for model in self.models.loaded)
        )
        self.pages = ModelPages()
        self.is_draining = False
        self.n_running = 0  # number of requests that shutdown waits for
        self.n_body_bytes = 0  # total size of bodies being received or validated
        self.n_reader_bytes = 0  # reserved for the log-probabilities of streams
        self.large_body_lock = asyncio.Lock()  # held while pausing between chunks of a large body

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make shutdown wait for the request that is handled in this context."""
        self.n_running += 1
        try:
            yield
        finally:
            self.n_running -= 1

    @contextmanager
    def reader_memory(self, n_bytes: int) -> Iterator[None]:
        """Reserve memory for a stream. Raise QueueFullError if other streams use too much."""
        if n_bytes and self.n_reader_bytes and self.n_reader_bytes + n_bytes > MAX_READER_BYTES:
            raise QueueFullError
        self.n_reader_bytes += n_bytes
        try:
            yield
        finally:
            self.n_reader_bytes -= n_bytes

    def model_of(self, request: Request, name: str | None) -> ServedModel:
        """Return the model that a request names; None is the first one. Raise ServeError if none.

        The request counts for this model in the metrics.
        """
        model = self.models.find(name)
        request.scope["model"] = model.name
        return model

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
