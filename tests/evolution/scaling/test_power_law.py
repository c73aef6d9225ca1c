import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_evolution.comparison import half_width
from microgpt_evolution.scaling.power_law import PowerLaw, fit_law, fit_line

STEPS = [1000, 2000, 4000, 8000, 16_000]


def curve(scale, exponent, floor=0.0, xs=STEPS):
    return [(x, floor + scale * x**-exponent) for x in xs]


def test_a_line_fit_agrees_with_a_hand_calculation() -> None:
    """Through (1, 8), (4, 4), (16, 2): a half with every four times as much."""
    law = fit_line([(1, 8.0), (4, 4.0), (16, 2.0)])
    assert (law.scale, law.exponent, law.floor) == (pytest.approx(8), pytest.approx(0.5), 0)
    assert law.at(64) == pytest.approx(1)


@given(
    scale=st.floats(0.1, 50), exponent=st.floats(0.1, 2.0), floor=st.floats(0.1, 3.0),
    unit=st.sampled_from([1, 100, 1e6]),
)  # fmt: skip
def test_the_fit_recovers_a_known_power_law(scale, exponent, floor, unit) -> None:
    xs = [unit * i for i in (1, 2, 4, 8, 16)]
    fitted = fit_law({1: curve(scale * unit**exponent, exponent, floor, xs)})
    assert fitted.exponent == pytest.approx(exponent, rel=1e-4)
    assert fitted.floor == pytest.approx(floor, rel=1e-4)
    for x in xs:
        assert fitted.at(x) == pytest.approx(floor + scale * (x / unit) ** -exponent, rel=1e-6)


def test_the_fit_of_noisy_losses_minimises_the_squared_error() -> None:
    """Any other law near it is worse."""
    noisy = [(x, y + 0.02 * math.sin(9 * i)) for i, (x, y) in enumerate(curve(30, 0.6, 2.0))]
    law = fit_law({1: noisy})

    def error(law):
        return sum((law.at(x) - y) ** 2 for x, y in noisy)

    for factor in (0.99, 1.01):
        assert error(PowerLaw(law.scale * factor, law.exponent, law.floor)) > error(law)
        assert error(PowerLaw(law.scale, law.exponent * factor, law.floor)) > error(law)
        assert error(PowerLaw(law.scale, law.exponent, law.floor * factor)) > error(law)


def test_several_seeds_give_a_confidence_interval_for_the_floor() -> None:
    """By hand: the mean of such curves is a law, too, whichever of them it is of."""
    floors = [1.9, 2.0, 2.3]
    fitted = fit_law({seed: curve(30, 0.5, floor) for seed, floor in enumerate(floors)})
    assert fitted.floor == pytest.approx(sum(floors) / 3, rel=1e-6)
    # t for 2 degrees of freedom, times the standard deviation 0.2082, over the root of 3
    assert fitted.mean("floor").half_width == pytest.approx(0.5171, abs=1e-3)
    assert half_width(floors) == pytest.approx(0.5171, abs=1e-4)
    assert fitted.mean("exponent").half_width == pytest.approx(0, abs=1e-5)


def test_three_points_yield_a_power_law_without_a_floor() -> None:
    fitted = fit_law({1: curve(30, 0.5, 2.0, STEPS[:3]), 2: curve(31, 0.5, 2.0, STEPS[:3])})
    assert fitted.floor == 0
    assert len(fitted.without) == 2


@pytest.mark.parametrize(
    "losses",
    [
        curve(30, 0.5, 2.0, STEPS[:2]),  # two points
        [(x, 2 + x / 1e5) for x in STEPS[:3]],  # rising
        [(x, 2 + x / 1e5) for x in STEPS],
        [*curve(30, 0.5), (10**9, 0.0)],  # a loss of zero
        # A sudden drop: any exponent that is told would be one that we have chosen.
        list(zip(STEPS, [3.0, 2.3, 2.3, 2.3], strict=False)),
        list(zip(STEPS, [3.0, 2.3, 2.29, 2.29, 2.29], strict=True)),
        list(zip(STEPS, [3.0, 1e-3, 1e-9], strict=False)),
        [(1_000_000 + i, 2.3 - i / 100) for i in range(3)],  # adjacent steps
        [(1_000_000 + i, 2.3 - i / 100) for i in range(4)],
    ],
)
def test_losses_that_follow_no_power_law_give_no_fit(losses) -> None:
    assert fit_law({1: losses}) is None


def test_steep_logarithmic_losses_give_a_law_without_a_floor() -> None:
    """A line in the logarithm of x ends below any number; then the law has no floor at all."""
    falling = [(x, 12 - math.log(x)) for x in STEPS]
    assert fit_law({1: falling}) == fit_line(falling)


@pytest.mark.parametrize(
    ("n", "others"),
    [
        (5, {}),
        (3, {2: [(1000, 3.0)]}),
        (3, {2: [(1000, 3.0)], 3: [(1000, 3.1)]}),
        (5, {2: curve(30, 0.5, 2.0, STEPS[:3])}),
    ],
)
def test_a_power_law_from_one_seed_has_no_confidence_interval(n, others) -> None:
    """As of a sweep that was stopped, or of two of which one went less far."""
    fitted = fit_law({1: curve(30, 0.5, 2.0)[:n], **others})
    assert fitted.exponent > 0
    assert fitted.mean("exponent").half_width is None
