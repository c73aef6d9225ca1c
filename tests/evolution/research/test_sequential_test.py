"""Tests of the error rate and the power of the sequential test that accepts changes."""

import itertools
import random

import pytest

from microgpt_evolution.research.sequential_test import (
    CLEAR_EFFECT,
    CONFIRM,
    KEPT,
    LOOKS,
    N_CONFIRMED,
    REJECTED,
    SEARCH,
    UNCONFIRMED,
    decide,
    p_value,
)


def test_the_p_value_agrees_with_enumerating_all_signs() -> None:
    gains = [0.3, -0.1, 0.5, 0.2, -0.6, 0.4]

    def score(signs) -> int:
        """Return the sum of the ranks, by absolute size, of the gains with a positive sign."""
        order = sorted(range(len(gains)), key=lambda i: abs(gains[i]))
        return sum(rank for rank, i in enumerate(order, start=1) if signs[i] > 0)

    all_signs = [*itertools.product((-1, 1), repeat=len(gains))]
    as_high = [score(signs) >= score(gains) for signs in all_signs]
    assert p_value(gains) == sum(as_high) / len(all_signs)


@pytest.mark.parametrize("gains", [[0.0] * 20, [0.1, -0.1] * 10, [-0.1] * 20])
def test_changes_that_gain_nothing_have_p_values_above_one_half(gains) -> None:
    assert p_value(gains) > 0.5


def test_only_a_gain_that_fresh_seeds_confirm_is_kept() -> None:
    assert decide([0.1] * 4, []) == SEARCH
    assert decide([0.1] * 5, []) == CONFIRM
    assert decide([0.1] * 5, [0.1] * N_CONFIRMED) == KEPT
    assert decide([0.1] * 5, [-0.1, 0.1] * (N_CONFIRMED // 2)) == UNCONFIRMED
    assert decide([-0.1] * 5, []) == REJECTED


def test_a_change_without_a_clear_gain_is_rejected_at_the_last_look() -> None:
    gains = [0.2, 0.3, -0.1, 0.4, 0.5, 0.6, -0.25, 0.7, 0.8, -0.9]
    assert decide(gains, []) == SEARCH
    assert decide([*gains, *[-0.01, 0.02] * 5], []) == REJECTED


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.gauss(0, 1),
        lambda rng: rng.gauss(0, 1) ** 3,  # a distribution with heavy tails
        lambda rng: rng.choice((-1, 0, 1)),
    ],
)
def test_at_most_5_percent_of_ineffective_changes_proceed_to_confirmation(draw) -> None:
    rng, n = random.Random(1), 2000
    passed = sum(decide([draw(rng) for _ in range(20)], []) == CONFIRM for _ in range(n))
    assert passed / n < 0.05 + 0.01
    assert sum(error for error, _ in LOOKS.values()) <= 0.05


def test_nine_of_ten_changes_with_a_clear_effect_are_kept() -> None:
    rng, n = random.Random(2), 1000
    draws = ([rng.gauss(CLEAR_EFFECT, 1) for _ in range(36)] for _ in range(n))
    assert 0.88 < sum(decide(gains[:20], gains[20:]) == KEPT for gains in draws) / n < 0.94
