import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.errors import ClusterError, StoppedError
from microgpt_evolution.workers import dask as cluster
from microgpt_evolution.workers.dask import Dask
from microgpt_evolution.workers.pools import Pool, Threads
from microgpt_evolution.workers.retrying_driver import Outcome, evaluate_all

sys.path.append(str(Path(__file__).parent))  # workers get it too
from driver_tasks import (
    KILLER,
    die_always,
    die_once,
    square,
)

N = 12
SQUARES = [Outcome("done", i * i) for i in range(N)]
BUT_ONE = [outcome.status if i != KILLER else "crashed" for i, outcome in enumerate(SQUARES)]


class WorkerDiesError(Exception):
    """Work that raises it breaks the pool of `Fragile`."""


class Fragile(Pool):
    """Threads that pretend to be processes: all that is in flight is lost at a death."""

    def n_workers(self) -> int:
        return 2

    def _build(self) -> Executor:
        return FragileExecutor()


class FragileExecutor(Executor):
    def __init__(self) -> None:
        self.threads, self.is_broken = Threads(2).executor(), False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.is_broken:
            raise BrokenExecutor
        return self.threads.submit(self.run, fn, *args)

    def run(self, fn: Callable[..., Any], *args: Any) -> Any:
        try:
            result = fn(*args)
        except WorkerDiesError:
            self.is_broken = True
        if self.is_broken:
            raise BrokenExecutor
        return result

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.threads.shutdown(wait, cancel_futures=cancel_futures)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a Dask scheduler with two workers in processes of their own."""
    import dask
    from distributed import LocalCluster

    size = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    quiet = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(**size, **quiet) as workers,
    ):
        yield workers.scheduler_address


def test_outcomes_are_returned_in_the_order_of_the_items() -> None:
    later_is_done = threading.Event()

    def work(item: int) -> int:
        if item:
            later_is_done.set()
        else:
            assert later_is_done.wait(30)
        return item * item

    with Threads(2) as pool:
        assert evaluate_all(work, range(N), pool) == SQUARES


@given(st.lists(st.none() | st.integers()), st.integers(1, 3))
def test_an_exception_fails_only_its_own_item(items: list[int | None], n_threads: int) -> None:
    def work(item: int | None) -> int:
        if item is None:
            raise ValueError("two\n  lines") if n_threads > 1 else MemoryError
        return item * 2

    error = "ValueError: two lines" if n_threads > 1 else "MemoryError"
    failed = Outcome[int]("failed", None, error)
    with Threads(n_threads) as pool:
        assert evaluate_all(work, items, pool) == [
            failed if item is None else Outcome("done", item * 2) for item in items
        ]


@given(st.lists(st.integers(0, 4), max_size=20))
def test_an_item_is_given_up_only_after_killing_several_workers(n_deaths: list[int]) -> None:
    left = list(n_deaths)

    def work(i: int) -> int:
        if left[i]:
            left[i] -= 1
            raise WorkerDiesError
        return i

    with Fragile() as pool:
        outcomes = evaluate_all(work, range(len(n_deaths)), pool)
    for n, outcome in zip(n_deaths, outcomes, strict=True):
        # Where another's death comes first and counts, the third is one's own second.
        allowed = {"done"} if n < 2 else {"done", "crashed"} if n == 2 else {"crashed"}
        assert outcome.status in allowed


def test_setting_should_stop_ends_the_evaluation_early() -> None:
    n_threads = threading.active_count()
    should_stop = threading.Event()
    started = []

    def work(item: int) -> None:
        started.append(item)
        if item == KILLER:
            should_stop.set()
        elif item > KILLER:
            should_stop.wait(30)

    with pytest.raises(StoppedError, match=r"stopped after \d of 100 evaluations"):
        evaluate_all(work, range(100), Threads(2), should_stop=should_stop)
    assert len(started) < 100
    assert threading.active_count() == n_threads


@pytest.mark.slow
def test_a_worker_that_dies_once_is_retried(scheduler: str, tmp_path: Path) -> None:
    work = partial(die_once, tmp_path / "died")
    with Dask(scheduler) as pool:
        assert evaluate_all(work, range(N), pool) == SQUARES
        (tmp_path / "died").unlink()
        assert evaluate_all(work, range(N), pool) == SQUARES


@pytest.mark.slow
def test_only_an_item_that_always_kills_its_worker_fails(scheduler: str) -> None:
    with Dask(scheduler) as pool:
        outcomes = evaluate_all(die_always, range(N), pool)
        assert [outcome.status for outcome in outcomes] == BUT_ONE
        assert outcomes[KILLER].error == "its worker died 3 times"
        assert evaluate_all(square, range(N), pool) == SQUARES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("vanish", "problem"),
    [
        (lambda workers: workers.close(), "cannot reach a Dask scheduler"),
        (lambda workers: workers.scale(0), "has no workers left; start one with `dask worker"),
    ],
    ids=["scheduler", "workers"],
)
def test_a_cluster_that_disappears_gives_a_one_line_error(
    monkeypatch: pytest.MonkeyPatch, vanish: Callable[[Any], object], problem: str
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(cluster, "PATIENCE_S", 0.5)
    workers = LocalCluster(n_workers=1, processes=False, dashboard_address=":0", protocol="tcp://")
    pool = Dask(workers.scheduler_address)
    with workers, pytest.raises(ClusterError, match=problem):
        evaluate_all(square, range(10_000), pool, on_outcome=lambda i, outcome: vanish(workers))


@pytest.mark.slow
def test_workers_that_leave_before_the_first_item_are_missed(monkeypatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(cluster, "TIMEOUT_S", 2.0)
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.5)
    workers = LocalCluster(n_workers=1, processes=False, dashboard_address=":0", protocol="tcp://")
    pool = Dask(workers.scheduler_address)
    with workers:
        pool.executor()
        workers.scale(0)
        while workers.scheduler.workers:
            time.sleep(0.01)
        with pytest.raises(ClusterError, match="has no workers left; start one with"):
            evaluate_all(square, range(N), pool)


@pytest.mark.slow
def test_a_worker_with_another_version_gives_a_one_line_error(
    scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    ask = Client.get_versions

    def answer(theirs: str | None) -> Callable[..., Any]:
        def get_versions(self: Client, packages: Sequence[str]) -> Any:
            versions = ask(self, packages=packages)
            for facts in versions["workers"].values():
                facts["packages"]["microgpt-lib"] = theirs
            return versions

        return get_versions

    for theirs, has in ((None, "no microgpt-lib"), ("0.0.9", r"microgpt-lib 0\.0\.9")):
        monkeypatch.setattr(Client, "get_versions", answer(theirs))
        with pytest.raises(ClusterError, match=f"the worker tcp://.* has {has}, but this"):
            evaluate_all(square, range(N), Dask(scheduler))


def test_an_unreachable_scheduler_gives_a_one_line_error(monkeypatch) -> None:
    monkeypatch.setattr(cluster, "TIMEOUT_S", 0.1)
    with socket.socket() as nobody, socket.create_server(("127.0.0.1", 0)) as other:
        nobody.bind(("127.0.0.1", 0))
        for line, problem in ((nobody, ".*"), (other, "timed out; start one with `dask scheduler")):
            address = f"tcp://127.0.0.1:{line.getsockname()[1]}"
            reason = f"cannot reach a Dask scheduler at {address}: {problem}"
            with pytest.raises(ClusterError, match=reason):
                evaluate_all(square, range(N), Dask(address))
    with pytest.raises(ClusterError, match="the address must have the form tcp://host:port"):
        evaluate_all(square, range(N), Dask("nowhere"))


def test_the_error_for_missing_dask_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'microgpt-evolution\[cluster\]'"):
        evaluate_all(square, range(N), Dask("tcp://127.0.0.1:1"))
