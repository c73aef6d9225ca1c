from hypothesis import given
from hypothesis import strategies as st

from microgpt.config import MAX_SEED
from microgpt_evolution.seeds import training_seed


def test_seeds_are_the_same_in_every_version() -> None:
    # printf '42/1/1/0' | sha256sum: the first 8 bytes, shifted right by one bit
    assert training_seed(42, 1, 1) == 0x24CDD29953F50103 >> 1
    assert training_seed(42, 1, 2) == 5889399491652740367


@given(st.integers(0, MAX_SEED), st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 9))
def test_every_seed_is_valid_for_training(run_seed, generation, slot, repeat) -> None:
    assert 0 <= training_seed(run_seed, generation, slot, repeat) <= MAX_SEED


def test_trainings_of_neighbouring_runs_have_different_seeds() -> None:
    places = [
        (run, g, slot, k)
        for run in (0, 1, 42)
        for g in range(1, 12)
        for slot in range(1, 21)
        for k in range(3)
    ]
    assert len({training_seed(*place) for place in places}) == len(places)
