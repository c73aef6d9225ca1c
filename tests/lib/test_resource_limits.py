"""Tests of the memory check, of the number of CPUs and of work in threads."""

import os
import threading
from types import SimpleNamespace

import pytest

from microgpt.errors import ConfigError
from microgpt.resource_limits import check_memory, map_in_threads, n_cpus

MB = 2**20


def test_allocating_more_memory_than_is_free_is_refused(monkeypatch) -> None:
    available = SimpleNamespace(available=200 * MB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: available)
    with pytest.raises(ConfigError, match=r"needs 209,715,201 .*, but only 209,715,200 are"):
        check_memory(200 * MB + 1, "this")
    check_memory(200 * MB, "this")


def test_the_number_of_cpus_respects_the_cpu_affinity(monkeypatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert n_cpus() == 8


def test_an_error_in_one_thread_stops_the_other_threads() -> None:
    stopped = []

    def work(item: int, should_stop: threading.Event) -> int:
        if item == 0:
            raise ValueError("no")
        stopped.append(should_stop.wait(30))
        return item

    with pytest.raises(ValueError, match="no"):
        list(map_in_threads(work, range(4), 4))
    assert all(stopped)


def test_a_worker_thread_can_close_the_results_of_map_in_threads() -> None:
    """Garbage collection can run in any thread, and closes the generator of the results there."""
    may_close, closed = threading.Event(), threading.Event()

    def work(item: int, should_stop: threading.Event) -> int:
        if item:
            assert may_close.wait(30)
            results.close()
            closed.set()
        return item

    results = map_in_threads(work, range(2), 2)
    assert next(results) == 0
    may_close.set()
    assert closed.wait(30)
