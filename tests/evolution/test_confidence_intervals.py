import random
from statistics import NormalDist, fmean

import pytest

from microgpt_evolution.confidence_intervals import Mean, describe, paired_difference, quantile


@pytest.mark.parametrize("n", [2, 3, 10, 15])
def test_about_95_of_100_intervals_contain_the_true_mean(n) -> None:
    draw = NormalDist(5, 2).inv_cdf
    rng = random.Random(n)
    samples = [[draw(rng.random()) for _ in range(n)] for _ in range(4000)]
    held = fmean(abs(fmean(sample) - 5) <= Mean.over(sample).half_width for sample in samples)
    assert held == pytest.approx(0.95, abs=0.015)  # four standard errors of the fraction


def test_quantiles_of_the_t_distribution_are_those_of_tables() -> None:
    found = {n: round(quantile(n), 3) for n in (1, 9, 10, 20, 40)}
    assert found == {1: 12.706, 9: 2.262, 10: 2.228, 20: 2.086, 40: 2.021}


def test_a_single_number_has_no_confidence_interval() -> None:
    assert describe([2.31]) == "2.3100 (n=1)"
    assert Mean.over([2.31]).half_width is None


def test_pairing_by_seed_narrows_the_interval_of_a_difference() -> None:
    rough, fine = {1: 3.0, 2: 2.0, 3: 1.0}, {1: 2.8, 2: 1.9, 3: 0.7}
    difference = paired_difference(rough, fine)
    assert difference.value == pytest.approx(0.2)
    assert difference.half_width == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
    assert difference.half_width < Mean.over(list(rough.values())).half_width


def test_differences_are_paired_only_with_two_common_seeds() -> None:
    assert paired_difference({1: 3.0, 2: 2.0, 3: 9.0}, {2: 1.0, 1: 2.0}) == Mean(1.0, 0.0)
    assert paired_difference({1: 3.0, 2: 2.0}, {2: 1.0, 3: 4.0}) == Mean(0.0)
