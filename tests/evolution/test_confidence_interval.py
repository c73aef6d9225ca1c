import random
from statistics import NormalDist, fmean

import pytest

from microgpt_evolution.confidence_interval import describe, half_width


def test_the_half_width_agrees_with_a_t_distribution_table() -> None:
    # Mean 2, standard deviation 1, so 4.303 / sqrt(3).
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(2.4843, abs=1e-4)


@pytest.mark.parametrize("n", [2, 3, 10, 15])
def test_about_95_of_100_intervals_contain_the_true_mean(n) -> None:
    draw = NormalDist(5, 2).inv_cdf
    rng = random.Random(n)
    samples = [[draw(rng.random()) for _ in range(n)] for _ in range(4000)]
    held = fmean(abs(fmean(sample) - 5) <= half_width(sample) for sample in samples)
    assert held == pytest.approx(0.95, abs=0.015)  # four standard errors of such a share


def test_a_single_number_has_no_confidence_interval() -> None:
    assert describe([2.31]) == "2.3100 (n=1)"
