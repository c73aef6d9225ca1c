"""Prometheus metrics. All series exist from startup, so that rates include the first event."""

from collections.abc import Iterable, Mapping
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from microgpt_serve.models import ServedModel

# 499: the client disconnected before the reply.
STATUSES = (200, 400, 401, 403, 404, 405, 408, 413, 415, 499, 500, 503, 504)
UNMATCHED = "unmatched"  # route label of requests that match no route
LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Metrics of one app, in a separate Prometheus registry."""

    def __init__(self, routes: Iterable[str], models: Mapping[str, ServedModel]) -> None:
        """Create the metrics for the given routes and models."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # `_created` metrics would double the number of series
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "microgpt_requests", "Requests handled.", ["route", "status"], registry=registry
        )
        self._latency = Histogram(
            "microgpt_request_seconds",
            "Seconds from the request headers to the end of the response.",
            ["route"],
            buckets=LATENCY_S,
            registry=registry,
        )
        tokens = Counter("microgpt_tokens", "Tokens generated.", ["model"], registry=registry)
        self._routes = (*routes, UNMATCHED)
        for route, status in product(self._routes, STATUSES):
            self._requests.labels(route, str(status))
            self._latency.labels(route)
        self.tokens = {name: tokens.labels(name) for name in models}
        self.queue_length = Gauge(
            "microgpt_queue_length", "Requests waiting for a generation thread.", registry=registry
        )
        info = Gauge(
            "microgpt_model_info", "The served models.", ["name", "version"], registry=registry
        )
        for name, model in models.items():
            info.labels(name, model.version).set(1)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a finished request."""
        route = path if path in self._routes else UNMATCHED
        self._latency.labels(route).observe(seconds)
        self._requests.labels(route, str(status)).inc()
