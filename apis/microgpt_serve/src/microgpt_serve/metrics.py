"""Prometheus metrics. All series exist from startup, so that rates include the first event."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from microgpt_serve.errors import STATUS_DESCRIPTIONS
from microgpt_serve.served_model import ServedModel

PROTOCOL_STATUSES = (408, 431)  # status codes that only `protocol` sends; not counted
STATUSES = [one for one in (200, *STATUS_DESCRIPTIONS) if one not in PROTOCOL_STATUSES]
UNMATCHED = "unmatched"  # route label of requests that match no route
LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SPEEDS = (100, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)


def share_metrics(folder: str, process: str) -> None:
    """Make metrics that are created later count in files, for all processes of a service.

    A process continues the counters of an earlier one with the same name.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]


class Metrics:
    """Metrics of one app, in a separate Prometheus registry."""

    def __init__(
        self, routes: list[str], n_waiting: Callable[[], int], folder: str | None = None
    ) -> None:
        """Create the metrics for the given routes.

        Args:
            n_waiting: returns the queue length.
            folder: that of `share_metrics`, if there are several processes.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call]  # `_created` metrics would double the number of series
        self.registry, self._folder = CollectorRegistry(), folder
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
        self._token_routes = [route for route in routes if "/v1/" in route]
        speed_help = "Tokens per second of a generation thread, measured when requests finish."
        self._speed = histogram("microgpt_tokens_per_second", speed_help, buckets=SPEEDS)
        queue_help = "Requests waiting for a generation thread."
        self._queue = gauge("microgpt_queue_length", queue_help, multiprocess_mode="livesum")
        self._n_waiting = n_waiting
        self._model_info = _ModelInfo()
        self.registry.register(self._model_info)
        reloads_help = "Reloads of a model or, without a model, of the API keys."
        self._reloads = counter("microgpt_reloads", reloads_help, ["result", "model"])
        self.dropped_lines = counter(
            "microgpt_log_lines_dropped", "Log lines dropped because they could not be written."
        )

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

    def count_reload(self, model: str, result: Literal["ok", "failed"]) -> None:
        """Count a reload of a model, or of the API keys if `model` is ""."""
        self._reloads.labels(result, model).inc()

    def observe_speed(self, n_tokens: int, seconds: float) -> None:
        """Record the generation speed of a worker thread."""
        if n_tokens:
            self._speed.observe(n_tokens / seconds)

    def set_models(self, models: Mapping[str, ServedModel | None]) -> None:
        """Set the versions of the served models by name, and create the series of all names."""
        self._model_info.models = {name: one.version for name, one in models.items() if one}
        for name in models:
            for status in STATUSES:
                self._model_requests.labels(name, str(status))
            for route in self._token_routes:
                self._tokens.labels(route, name)
        for name in ("", *models):
            self._reloads.labels("ok", name), self._reloads.labels("failed", name)

    def measure_queue(self) -> None:
        """Set the queue length; other processes see it."""
        self._queue.set(self._n_waiting())

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format, added up over all processes."""
        self.measure_queue()
        registry = self.registry
        if self._folder:
            registry = CollectorRegistry()
            registry.register(self._model_info)
            MultiProcessCollector(registry, self._folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class _ModelInfo(Collector):
    """The served models, the same in all processes. A gauge in a file could not forget old ones."""

    models: dict[str, str]  # versions by name

    def collect(self) -> Iterator[GaugeMetricFamily]:
        help_text, labels = "The served models.", ["name", "version"]
        family = GaugeMetricFamily("microgpt_model_info", help_text, labels=labels)
        for name, version in self.models.items():
            family.add_metric([name, version], 1)
        yield family
