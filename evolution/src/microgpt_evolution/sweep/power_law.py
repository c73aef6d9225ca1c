"""Fit a power law, loss = floor + scale · x^-exponent, with confidence intervals.

The law is fitted by least squares. For a fixed exponent, scale and floor have a closed form, so
only the exponent is searched (variable projection, Golub & Pereyra 1973).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

from microgpt_evolution.confidence_interval import half_width

LEAST_FOR_FLOOR = 4  # minimum number of distinct x values needed to fit a floor
LEAST = 3
EXPONENTS = (0.01, 4.0)  # search range: nearly logarithmic at 0.01, nearly a step function at 4
N_TRIED = 100  # number of exponents in the grid search
N_REFINEMENTS = 60  # number of ternary search steps; each step keeps two thirds of the interval

Curve = Sequence[tuple[float, float]]  # (x, loss) pairs


@dataclass(frozen=True)
class PowerLaw:
    """A power law that gives the loss as a function of x."""

    scale: float  # loss above the floor at x = 1
    exponent: float
    floor: float = 0.0  # 0 if there are too few distinct x values, or if it would be negative

    def at(self, x: float) -> float:
        """Return the loss at x."""
        return self.floor + self.scale * math.pow(x, -self.exponent)


@dataclass(frozen=True)
class FittedLaw:
    """A power law fitted to the curves of several seeds."""

    law: PowerLaw
    has_floor: bool
    without: tuple[PowerLaw, ...] = ()  # leave-one-seed-out fits; may be empty

    def half_width(self, number: Callable[[PowerLaw], float]) -> float | None:
        """Return the half-width of the 95 % confidence interval of a quantity, or None if unknown.

        Uses the jackknife (Tukey 1958), which leaves out one seed at a time. A bootstrap of three
        seeds has only ten distinct samples, so its interval would be too narrow.
        """
        n = len(self.without)
        if n < 2:
            return None
        whole = n * number(self.law)
        return half_width([whole - (n - 1) * number(law) for law in self.without])


def fit_law(curves: Mapping[int, Curve]) -> FittedLaw | None:
    """Fit a power law to the curves of all seeds; every x must be positive.

    Return None if there are too few distinct x values, if a loss is 0, or if the fit to all seeds
    or to all but one seed fails because the loss does not fall or falls in a single step, or if the
    95 % confidence interval of the exponent contains 0.
    """
    points = [point for curve in curves.values() for point in curve]
    n_different = len(dict(points))
    if n_different < LEAST or min(loss for _, loss in points) <= 0:
        return None
    has_floor = n_different >= LEAST_FOR_FLOOR
    fit, least = (_fit_with_floor, LEAST_FOR_FLOOR) if has_floor else (fit_line, LEAST)
    law = fit(points)
    if law is None:
        return None
    if not law.floor:  # of all points, so also without any seed
        fit, least, has_floor = fit_line, LEAST, False
    rests = [
        [point for seed, curve in curves.items() if seed != left_out for point in curve]
        for left_out in curves
    ]
    if any(len(dict(rest)) < least for rest in rests):  # too few x values for leave-one-out fits
        return FittedLaw(law, has_floor)
    without = tuple(other for rest in rests if (other := fit(rest)))
    if len(without) < len(rests):
        return None
    fitted = FittedLaw(law, has_floor, without)
    half = fitted.half_width(lambda law: law.exponent)
    return fitted if half is None or half < law.exponent else None


def fit_line(curve: Curve) -> PowerLaw | None:
    """Fit a law without a floor as a line in log-log space; return None if the fit fails."""
    slope, intercept = linear_regression(
        [math.log(x) for x, _ in curve], [math.log(loss) for _, loss in curve]
    )
    return PowerLaw(math.exp(intercept), -slope) if 0 < -slope < EXPONENTS[1] else None


def _fit_with_floor(curve: Curve) -> PowerLaw | None:
    """Return the law with the smallest squared error, or None if the fit fails."""

    def with_exponent(log_exponent: float) -> PowerLaw:
        exponent = math.exp(log_exponent)
        line = linear_regression([x**-exponent for x, _ in curve], [loss for _, loss in curve])
        return PowerLaw(line.slope, exponent, line.intercept)

    def error(log_exponent: float) -> float:
        law = with_exponent(log_exponent)
        return fmean((law.at(x) - loss) ** 2 for x, loss in curve)

    first, last = map(math.log, EXPONENTS)
    tried = [first + (last - first) * i / (N_TRIED - 1) for i in range(N_TRIED)]
    best = min(range(N_TRIED), key=lambda i: error(tried[i]))
    low, high = tried[max(0, best - 1)], tried[min(N_TRIED - 1, best + 1)]
    for _ in range(N_REFINEMENTS):
        third = (high - low) / 3
        if error(low + third) < error(high - third):
            high -= third
        else:
            low += third
    law = with_exponent((low + high) / 2)
    if law.scale <= 0 or best == N_TRIED - 1:  # not falling, or close to a step
        return None
    # Omit the floor if it is negative, or undetermined because the curve is nearly logarithmic.
    return fit_line(curve) if law.floor < 0 or best == 0 else law
