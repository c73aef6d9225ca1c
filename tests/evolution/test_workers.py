import logging
import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from microgpt_evolution import workers
from microgpt_evolution.evolution_errors import ClusterError
from microgpt_evolution.genome import Genome
from microgpt_evolution.trial import Evaluation, Trial
from microgpt_evolution.workers import Dask, Threads, Workers

sys.path.append(str(Path(__file__).parent))  # inherited by worker processes
from worker_objectives import KILLER, Squares, Tally

N = 12
SQUARES = [float(i * i) for i in range(N)]


def trials(n: int = N) -> list[Trial]:
    return [Trial(Genome(), seed) for seed in range(n)]


def measure(pool: Workers, objective: Any, n: int = N) -> list[Evaluation]:
    """Return the evaluations of n trials in their order, without durations."""
    found = dict(pool.measure(objective, trials(n)))
    return [found[i] for i in range(n)]


class Objective(Squares):
    """An objective whose fitness is a given function of the seed and of `should_stop`."""

    def __init__(self, function: Callable[..., float]) -> None:
        object.__setattr__(self, "function", function)

    def measure(self, trial: Trial, should_stop: Any = None) -> Evaluation:
        return Evaluation("ok", self.function(trial.seed, should_stop))


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a Dask scheduler with two workers in separate processes."""
    import dask
    from distributed import LocalCluster

    size = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    quiet = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(**size, **quiet) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture
def one_worker() -> Iterator[Any]:
    """A Dask cluster with one worker in this process."""
    from distributed import LocalCluster

    size = {"n_workers": 1, "processes": False}
    with LocalCluster(**size, dashboard_address=":0", protocol="tcp://") as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (MemoryError(), "MemoryError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_an_error_in_a_trial_becomes_an_evaluation_with_the_reason(error, reason) -> None:
    def fail(seed: int, should_stop: object) -> float:
        if seed == KILLER:
            raise error
        return seed**2

    with Threads(2) as pool:
        found = measure(pool, Objective(fail))
    assert (found[KILLER].status, found[KILLER].reason) == ("crashed", reason)
    squares = [square for seed, square in enumerate(SQUARES) if seed != KILLER]
    assert [each.fitness for each in found if each.status == "ok"] == squares


def test_closing_the_results_stops_the_trials_in_all_threads() -> None:
    n_threads = threading.active_count()
    started = []

    def wait(seed: int, should_stop: Callable[[], bool]) -> float:
        started.append(seed)
        while seed > KILLER and not should_stop():
            time.sleep(0.01)
        return 1.0

    measured = Threads(2).measure(Objective(wait), trials(100))
    for _ in range(KILLER):
        next(measured)
    measured.close()
    assert len(started) < 100
    assert threading.active_count() == n_threads


def test_a_worker_unpickles_the_objectives_of_two_studies_only_once() -> None:
    pickles = [pickle.dumps(Tally(n=n)) for n in (0, 100)]
    found = [workers._measure_pickled(each, *trials(1)) for each in pickles * 2]
    assert [each.fitness for each in found] == [1, 101, 2, 102]


@pytest.mark.slow
def test_only_a_trial_that_always_kills_its_worker_fails(scheduler: str) -> None:
    with Dask(scheduler) as pool:
        found = measure(pool, Squares(kills=True), 100)
        squares = [i * i for i in range(100) if i != KILLER]
        assert [each.fitness for each in found if each.status == "ok"] == squares
        assert found[KILLER].status == "crashed"
        assert found[KILLER].reason == "its worker died 2 times"
        assert [each.fitness for each in measure(pool, Squares())] == SQUARES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("vanish", "problem"),
    [
        (lambda cluster: cluster.close(), "cannot use a Dask scheduler at .* lost; start one with"),
        (lambda cluster: cluster.scale(0), "Only 0/1 workers arrived .* `dask worker tcp"),
    ],
    ids=["scheduler", "workers"],
)
def test_the_error_of_a_lost_cluster_says_what_to_start(
    monkeypatch, one_worker, vanish, problem
) -> None:
    monkeypatch.setattr(workers, "PATIENCE_S", 0.5)
    measured = Dask(one_worker.scheduler_address).measure(Squares(), trials(3000))
    next(measured)
    vanish(one_worker)
    with pytest.raises(ClusterError, match=problem):
        list(measured)


@pytest.mark.slow
@pytest.mark.parametrize("theirs", [None, "0.0.9"])
def test_a_worker_without_the_same_microgpt_version_is_refused(
    scheduler: str, monkeypatch: pytest.MonkeyPatch, theirs: str | None
) -> None:
    from distributed import Client

    ask = Client.get_versions

    def get_versions(self: Client, packages: Sequence[str]) -> Any:
        versions = ask(self, packages=packages)
        for facts in versions["workers"].values():
            facts["packages"]["microgpt-lib"] = theirs
        return versions

    monkeypatch.setattr(Client, "get_versions", get_versions)
    has = rf"tcp://.* has microgpt-lib {theirs or 'missing'}, but this machine has \d"
    with pytest.raises(ClusterError, match=has):
        measure(Dask(scheduler), Squares())


def test_an_unreachable_scheduler_is_named_in_the_error(monkeypatch) -> None:
    monkeypatch.setattr(workers, "TIMEOUT_S", 0.1)
    with socket.socket() as nobody, socket.create_server(("127.0.0.1", 0)) as other:
        nobody.bind(("127.0.0.1", 0))
        for line, problem in ((nobody, ".*"), (other, "timed out; start one with `dask scheduler")):
            address = f"tcp://127.0.0.1:{line.getsockname()[1]}"
            reason = f"cannot use a Dask scheduler at {address}: {problem}"
            with pytest.raises(ClusterError, match=reason):
                measure(Dask(address), Squares())
    with pytest.raises(ClusterError, match=r"scheduler at nowhere: .* such as tcp://host:"):
        measure(Dask("nowhere"), Squares())


def test_the_error_for_missing_dask_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'microgpt-evolution\[cluster\]'"):
        measure(Dask("tcp://127.0.0.1:1"), Squares())
