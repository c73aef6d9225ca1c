import pickle

import pytest

from microgpt_evolution.workers.pickled_once import N_KEPT, NotUnpickledError, PickledOnce


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


def test_work_is_unpickled_only_once_per_process(monkeypatch) -> None:
    monkeypatch.setattr(Adder, "n_loaded", 0)
    work = PickledOnce.of(Adder(1))
    for item in range(5):
        assert pickle.loads(pickle.dumps(work))(item) == item + 1
    assert Adder.n_loaded == 1


def test_the_name_suffices_where_the_contents_are_known() -> None:
    work = PickledOnce.of(Adder(2))
    with pytest.raises(NotUnpickledError):
        work.name_only()(1)
    assert work(1) == work.name_only()(1) == 3
    assert len(pickle.dumps(work.name_only())) < 200


def test_a_process_keeps_only_the_last_works() -> None:
    works = [PickledOnce.of(Adder(n)) for n in range(10, 10 + N_KEPT + 1)]
    for work in works:
        work(1)
    assert [work.name_only()(1) for work in works[1:]] == [12 + n for n in range(N_KEPT)]
    with pytest.raises(NotUnpickledError):
        works[0].name_only()(1)
