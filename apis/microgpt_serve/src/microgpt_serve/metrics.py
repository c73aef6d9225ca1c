"""Prometheus metrics. All series exist from startup, so that rates include the first event."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from microgpt_serve.served_models import ServedModel

# Not 408 and 431, which only `protocol` sends. 499: the client disconnected before the reply.
STATUSES = (200, 400, 401, 403, 404, 405, 413, 415, 499, 500, 503, 504)
UNMATCHED = "unmatched"  # route label of requests that match no route
LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SPEEDS = (100, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)


class Metrics:
    """Metrics of one app, in a separate Prometheus registry."""

    def __init__(
        self,
        routes: list[str],
        models: Mapping[str, ServedModel],
        n_waiting: Callable[[], int],
    ) -> None:
        """Create the metrics for the given routes and models; `n_waiting` is the queue length."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # `_created` metrics would double the number of series
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        all_routes = (*routes, UNMATCHED)
        self._requests = counter("microgpt_requests", "Requests handled.", ["route", "status"])
        for route, status in product(all_routes, STATUSES):
            self._requests.labels(route, str(status))
        latency_help = "Seconds from the request headers to the end of the response."
        latency = histogram("microgpt_request_seconds", latency_help, ["route"], buckets=LATENCY_S)
        self._latency_of = {route: latency.labels(route) for route in all_routes}
        model_help = "Requests that have chosen a model."
        self._model_requests = counter("microgpt_model_requests", model_help, ["model", "status"])
        self._tokens = counter("microgpt_tokens", "Tokens generated.", ["route", "model"])
        speed_help = "Tokens per second of a generation thread, measured when requests finish."
        self._speed = histogram("microgpt_tokens_per_second", speed_help, buckets=SPEEDS)
        queue_help = "Requests waiting for a generation thread."
        gauge("microgpt_queue_length", queue_help).set_function(n_waiting)
        info = gauge("microgpt_model_info", "The served models.", ["name", "version"])
        for name, model in models.items():
            info.labels(name, model.version).set(1)
            for status in STATUSES:
                self._model_requests.labels(name, str(status))
            for route in routes:
                if "/v1/" in route:
                    self._tokens.labels(route, name)

    def count_request(self, path: str, status: int, seconds: float, model: str) -> None:
        """Count a finished request and, unless `model` is "", also count it for that model."""
        route = path if path in self._latency_of else UNMATCHED
        self._requests.labels(route, str(status)).inc()
        self._latency_of[route].observe(seconds)
        if model:
            self._model_requests.labels(model, str(status)).inc()

    def count_tokens(self, route: str, model: str, n_tokens: int) -> None:
        """Count generated tokens."""
        self._tokens.labels(route, model).inc(n_tokens)

    def observe_speed(self, n_tokens: int, seconds: float) -> None:
        """Record the generation speed of a worker thread."""
        if n_tokens:
            self._speed.observe(n_tokens / seconds)
