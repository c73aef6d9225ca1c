"""Tests that numbers drawn in bulk, and the generator's state, equal those of `random.Random`."""

import random

from hypothesis import given
from hypothesis import strategies as st

from microgpt_engine.random_numbers import gauss, shuffled, uniforms

SEEDS = st.integers(0, 2**63 - 1)


@given(seed=SEEDS, n=st.integers(0, 3000), n_first=st.integers(0, 4000))
def test_shuffled_gives_the_same_order_as_random_shuffle(seed: int, n: int, n_first: int) -> None:
    ours, python = random.Random(seed), random.Random(seed)
    expected = list(range(n))
    python.shuffle(expected)
    assert list(shuffled(n, ours, n_first)) == expected[:n_first]
    assert ours.getstate() == python.getstate()


@given(seed=SEEDS, n=st.integers(0, 1500), sigma=st.floats(0.001, 10), before=st.integers(0, 3))
def test_gauss_gives_the_same_numbers_as_random_gauss(seed, n, sigma, before) -> None:
    ours, python = random.Random(seed), random.Random(seed)
    for rng in (ours, python):
        for _ in range(before):  # after an odd number of calls, a second number is stored
            rng.gauss(0, 1)
    assert gauss(n, sigma, ours).tolist() == [python.gauss(0, sigma) for _ in range(n)]
    assert ours.getstate() == python.getstate()
    assert ours.random() == python.random()


@given(
    st.lists(
        st.one_of(st.integers(0, 99), st.integers(2**32 - 2, 2**32 + 2), st.integers(0, 2**64 - 1)),
        min_size=1,
        max_size=70,
    ),
    st.sampled_from([1, 17, 312, 313, 700]),
)
def test_uniform_numbers_drawn_in_a_batch_equal_those_of_single_generators(seeds, n) -> None:
    found = uniforms(seeds, n)
    for seed, numbers in zip(seeds, found.tolist(), strict=True):
        rng = random.Random(seed)
        assert numbers == [rng.random() for _ in range(n)]
