import itertools
import math

import pytest

from microgpt import Value
from microgpt.model_variants import Dropout

N = 20_000  # draws: the share that is dropped is then known to 0.004


def kept(rate: float, *, seed: int = 1, n_read: int = 0, position: int = 0, site: int = 0) -> list:
    """Return what is left of ones."""
    return Dropout(rate, seed, n_read)([1.0] * N, position, site)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_the_given_share_and_keeps_the_mean(rate) -> None:
    numbers = kept(rate)
    assert set(numbers) == {0.0, 1 / (1 - rate)}
    assert numbers.count(0.0) / N == pytest.approx(rate, abs=0.015)
    assert sum(numbers) / N == pytest.approx(1, abs=4 * math.sqrt(rate / (1 - rate) / N))


def test_masks_of_different_seeds_and_positions_are_independent() -> None:
    """Two of them agree in as many places as coins would."""
    draws = [kept(0.5), kept(0.5, seed=2), kept(0.5, n_read=1), kept(0.5, position=1)]
    draws += [kept(0.5, site=1), kept(0.5, seed=2**63 - 1), kept(0.5, n_read=10**9)]
    for a, b in itertools.combinations(draws, 2):
        n_same = sum(x == y for x, y in zip(a, b, strict=True))
        assert n_same / N == pytest.approx(0.5, abs=0.02)


def test_neighbouring_bits_of_a_dropout_mask_are_independent() -> None:
    """Pairs and runs within a vector: a hash of counters must not show the counter."""
    bits = [number > 0 for number in kept(0.5)]
    for lag in (1, 2, 3, 8, 16, 64):
        n_same = sum(a == b for a, b in zip(bits, bits[lag:], strict=False))
        assert n_same / (N - lag) == pytest.approx(0.5, abs=0.02)


def test_gradients_pass_only_through_units_that_are_kept() -> None:
    values = [Value(1.0) for _ in range(64)]
    dropped = Dropout(0.25, 3, 0)(values, 0, 0)
    sum(dropped, Value(0.0)).backward()
    assert [value.grad for value in values] == [value.data for value in dropped]
