import pickle

import pytest

from microgpt_evolution.workers import pools
from microgpt_evolution.workers.pools import (
    N_KEPT,
    NotUnpickledError,
    PickledOnce,
    default_workers,
)


@pytest.mark.parametrize(
    ("n_cpus", "n_trials", "n"), [(8, 100, 8), (8, 3, 3), (8, 0, 1), (1, 100, 1)]
)
def test_workers_are_limited_by_cpus_and_trials(monkeypatch, n_cpus, n_trials, n) -> None:
    monkeypatch.setattr(pools, "n_cpus", lambda: n_cpus)
    assert default_workers(n_trials) == n


class Adder:
    """Work with data; counts how often it comes out of a pickle."""

    n_loaded = 0

    def __init__(self, n: int) -> None:
        self.n = n

    def __setstate__(self, state: dict[str, int]) -> None:
        Adder.n_loaded += 1
        self.__dict__ = state

    def __call__(self, item: int) -> int:
        return item + self.n


def test_a_process_unpickles_the_same_work_only_once(monkeypatch) -> None:
    monkeypatch.setattr(Adder, "n_loaded", 0)
    work = PickledOnce.of(Adder(1))
    for item in range(5):
        assert pickle.loads(pickle.dumps(work))(item) == item + 1
    assert Adder.n_loaded == 1


def test_work_that_a_process_has_unpickled_can_be_sent_by_name() -> None:
    work = PickledOnce.of(Adder(2))
    with pytest.raises(NotUnpickledError):
        work.name_only()(1)
    assert work(1) == work.name_only()(1) == 3
    assert len(pickle.dumps(work.name_only())) < 200


def test_a_worker_process_caches_only_the_most_recent_work() -> None:
    works = [PickledOnce.of(Adder(n)) for n in range(10, 10 + N_KEPT + 1)]
    for work in works:
        work(1)
    assert [work.name_only()(1) for work in works[1:]] == [12 + n for n in range(N_KEPT)]
    with pytest.raises(NotUnpickledError):
        works[0].name_only()(1)
