"""Fit a power law, loss = floor + scale · x^-exponent, with confidence intervals.

The law is fitted by least squares. For a fixed exponent, scale and floor have a closed form, so
only the exponent is searched (variable projection, Golub & Pereyra 1973).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, linear_regression
from typing import Literal

from microgpt_evolution.comparison import Mean

LEAST_FOR_FLOOR = 4  # minimum number of distinct x values needed to fit a floor
LEAST = 3
EXPONENTS = (0.01, 4.0)  # search range: nearly logarithmic at 0.01, nearly a step function at 4
N_TRIED = 100  # number of exponents per round of the search
N_ROUNDS = 7  # each round searches 2/100 of the range of the previous one

Curve = Sequence[tuple[float, float]]  # (x, loss) pairs


@dataclass(frozen=True)
class PowerLaw:
    """A power law that gives the loss as a function of x."""

    scale: float  # loss above the floor at x = 1
    exponent: float
    floor: float = 0.0  # 0 if there are too few distinct x values, or if it would be negative
    without: tuple["PowerLaw", ...] = ()  # the laws without one seed each, if they can be fitted

    def at(self, x: float) -> float:
        """Return the loss at x."""
        return self.floor + self.scale * math.pow(x, -self.exponent)

    def mean(self, name: Literal["exponent", "floor"]) -> Mean:
        """Return a number of the law with its interval.

        The interval is that of the jackknife (Tukey 1958), which leaves out one seed at a time. A
        bootstrap of three seeds has only ten distinct samples, so its interval would be too narrow.
        """
        value, n = getattr(self, name), len(self.without)
        pseudovalues = [n * value - (n - 1) * getattr(law, name) for law in self.without]
        return Mean(value, Mean.of(pseudovalues).half_width if n else None)


def fit_law(curves: Mapping[int, Curve]) -> PowerLaw | None:
    """Fit a power law to the curves of all seeds; every x must be positive.

    Return None if there are too few distinct x values, if a loss is 0, or if the fit to all seeds
    or to all but one seed fails because the loss does not fall or falls in a single step, or if the
    95 % confidence interval of the exponent contains 0.
    """
    points = [point for curve in curves.values() for point in curve]
    n_different = len(dict(points))
    if n_different < LEAST or min(loss for _, loss in points) <= 0:
        return None
    law = (_fit_with_floor if n_different >= LEAST_FOR_FLOOR else fit_line)(points)
    if law is None:
        return None
    # A law of all points without a floor has none without any seed, either.
    fit, least = (_fit_with_floor, LEAST_FOR_FLOOR) if law.floor else (fit_line, LEAST)
    rests = [
        [point for seed, curve in curves.items() if seed != left_out for point in curve]
        for left_out in curves
    ]
    if any(len(dict(rest)) < least for rest in rests):  # too few x values for leave-one-out fits
        return law
    without = tuple(other for rest in rests if (other := fit(rest)))
    if len(without) < len(rests):
        return None
    law = replace(law, without=without)
    return law if law.mean("exponent").is_clear else None


def fit_line(curve: Curve) -> PowerLaw | None:
    """Fit a law without a floor as a line in log-log space; return None if the fit fails."""
    slope, intercept = linear_regression(
        [math.log(x) for x, _ in curve], [math.log(loss) for _, loss in curve]
    )
    return PowerLaw(math.exp(intercept), -slope) if 0 < -slope < EXPONENTS[1] else None


def _fit_with_floor(curve: Curve) -> PowerLaw | None:
    """Return the law with the smallest squared error, or None if the fit fails."""

    def with_exponent(exponent: float) -> PowerLaw:
        line = linear_regression([x**-exponent for x, _ in curve], [loss for _, loss in curve])
        return PowerLaw(line.slope, exponent, line.intercept)

    def error(law: PowerLaw) -> float:
        return fmean((law.at(x) - loss) ** 2 for x, loss in curve)

    low, high = EXPONENTS
    for _ in range(N_ROUNDS):
        laws = [with_exponent(low * (high / low) ** (i / N_TRIED)) for i in range(N_TRIED + 1)]
        best = min(range(N_TRIED + 1), key=lambda i: error(laws[i]))
        law = laws[best]
        low, high = laws[max(0, best - 1)].exponent, laws[min(N_TRIED, best + 1)].exponent
    if law.scale <= 0 or math.isclose(law.exponent, EXPONENTS[1]):  # not falling, or a step
        return None
    # Omit the floor if it is negative, or undetermined because the curve is nearly logarithmic.
    is_logarithmic = math.isclose(law.exponent, EXPONENTS[0])
    return fit_line(curve) if law.floor < 0 or is_logarithmic else law
