"""State shared by all routes: the models, request queue and metrics."""

import asyncio
import math

from fastapi import Request

from microgpt_serve.batch_scheduler import BatchScheduler
from microgpt_serve.errors import ServeError, route_path
from microgpt_serve.metrics import Metrics
from microgpt_serve.served_models import ServedModel, ServedModels
from microgpt_serve.settings import ServiceSettings
from microgpt_serve.work_queue import WorkQueue

QUEUE_LIMIT = 64  # maximum number of waiting requests; small ones count less


class AppState:
    """State of an app, shared by all requests."""

    def __init__(self, settings: ServiceSettings, models: ServedModels, routes: list[str]) -> None:
        self.settings, self.models = settings, models
        self.metrics = Metrics(routes, models, lambda: self.scheduler.n_waiting)
        self.scheduler = BatchScheduler(QUEUE_LIMIT, self.metrics.observe_speed)
        self.work = WorkQueue(QUEUE_LIMIT)
        self.pages: dict[str, asyncio.Future[bytes]] = {}  # of the models, by name
        self.page_work = WorkQueue(1)
        self.is_draining = False
        self.n_running = 0  # number of requests that shutdown waits for
        self.n_body_bytes = 0  # total size of bodies being received or validated
        self.large_body_lock = asyncio.Lock()  # held while pausing between chunks of a large body

    def shutdown_error(self) -> ServeError:
        """Return the error to send to requests during shutdown."""
        headers = {"retry-after": str(math.ceil(self.settings.timeout_s))}
        return ServeError(503, "the service is shutting down", headers=headers)


def state_of(request: Request) -> AppState:
    """Return the state of the app that handles a request."""
    state: AppState = request.app.state.app_state
    return state


def model_of(request: Request, name: str | None) -> ServedModel:
    """Return the model that a request names; None is the first one. Raise ServeError if none.

    OpenAI's routes accept any name if only one model is served. The request counts for this model
    in the metrics.
    """
    models, is_openai = state_of(request).models, route_path(request.scope).startswith("/v1/")
    model = models.find(None if is_openai and len(models) == 1 else name)
    request.scope["model"] = model.name
    return model
