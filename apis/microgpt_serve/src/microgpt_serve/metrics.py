"""What Prometheus sees; each series is there from the start, so that a rate can be taken of it."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from microgpt_serve.errors import MEANINGS

BELOW_THE_APP = (408, 431)  # answered by `protocol`: no request has come, so none is counted
UNMATCHED = "unmatched"  # the route of a request that none is for
LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SPEEDS = (100, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)


class Metrics:
    """The metrics of one app."""

    def __init__(self, routes: list[str], n_waiting: Callable[[], int]) -> None:
        """Declare them.

        Args:
            routes: the paths there are.
            n_waiting: returns the length of the queue.
        """
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series and say when the process started
        self._registry = CollectorRegistry()
        requests = Counter(
            "microgpt_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        latency = Histogram(
            "microgpt_request_seconds",
            "Time from a request's headers to the end of its reply.",
            ["route"],
            buckets=LATENCY_S,
            registry=self._registry,
        )
        tokens = Counter("microgpt_tokens", "Tokens generated.", ["route"], registry=self._registry)
        self._requests = requests
        self._count_of = {
            (route, status): requests.labels(route, str(status))
            for route in (*routes, UNMATCHED)
            for status in (200, *MEANINGS)
            if status not in BELOW_THE_APP
        }
        self._latency_of = {route: latency.labels(route) for route in (*routes, UNMATCHED)}
        self._tokens_of = {route: tokens.labels(route) for route in routes if "/v1/" in route}
        self._speed = Histogram(
            "microgpt_tokens_per_second",
            "Speed of the threads that generate, each time that they deliver.",
            buckets=SPEEDS,
            registry=self._registry,
        )
        queue = Gauge(
            "microgpt_queue_length",
            "Requests that no thread has taken up yet.",
            registry=self._registry,
        )
        queue.set_function(n_waiting)
        self._model = Gauge(
            "microgpt_model_info",
            "The model that is served.",
            ["name", "version"],
            registry=self._registry,
        )
        self._reloads = Counter(
            "microgpt_reloads",
            "Reloads of the model, and of the API keys.",
            ["result"],
            registry=self._registry,
        )
        self._dropped_lines = Counter(
            "microgpt_log_lines_dropped",
            "Lines of the log that nobody read in time.",
            registry=self._registry,
        )
        self._reload_of = {ok: self._reloads.labels(ok) for ok in ("ok", "failed")}

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        route = path if path in self._latency_of else UNMATCHED
        child = self._count_of.get((route, status))
        (child or self._requests.labels(route, str(status))).inc()
        self._latency_of[route].observe(seconds)

    def count_tokens(self, path: str, n_tokens: int) -> None:
        """Count what a reply has."""
        self._tokens_of[path].inc(n_tokens)

    def observe_speed(self, n_tokens: int, seconds: float) -> None:
        """Note how fast tokens came."""
        if n_tokens:
            self._speed.observe(n_tokens / seconds)

    def show_model(self, name: str, version: str) -> None:
        """Show which model is served."""
        self._model.clear()
        self._model.labels(name, version).set(1)

    def count_reload(self, *, is_ok: bool) -> None:
        """Count an attempt to load the model, or the keys, again."""
        self._reload_of["ok" if is_ok else "failed"].inc()

    def count_dropped_lines(self, n_lines: int) -> None:
        """Count lines that are missing in the log."""
        self._dropped_lines.inc(n_lines)

    def text(self) -> tuple[bytes, str]:
        """Return what Prometheus reads, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4
