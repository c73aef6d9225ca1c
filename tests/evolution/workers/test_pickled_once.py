import pickle

import pytest

from microgpt_evolution.workers.pickled_once import N_KEPT, NotHereError, PickledOnce


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


def test_a_parcel_is_unpickled_once_however_often_it_comes(monkeypatch) -> None:
    monkeypatch.setattr(Adder, "n_loaded", 0)
    parcel = PickledOnce.of(Adder(1))
    for item in range(5):
        assert pickle.loads(pickle.dumps(parcel))(item) == item + 1
    assert Adder.n_loaded == 1


def test_a_label_will_do_where_the_parcel_has_been() -> None:
    parcel = PickledOnce.of(Adder(2))
    with pytest.raises(NotHereError):
        parcel.label()(1)
    assert parcel(1) == parcel.label()(1) == 3
    assert len(pickle.dumps(parcel.label())) < 200


def test_a_process_keeps_the_last_parcels_only() -> None:
    parcels = [PickledOnce.of(Adder(n)) for n in range(10, 10 + N_KEPT + 1)]
    for parcel in parcels:
        parcel(1)
    assert [parcel.label()(1) for parcel in parcels[1:]] == [12 + n for n in range(N_KEPT)]
    with pytest.raises(NotHereError):
        parcels[0].label()(1)
