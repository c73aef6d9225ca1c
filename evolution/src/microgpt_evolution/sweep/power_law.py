"""A power law, loss = floor + scale · x^-exponent, and how far it may be from the truth.

The fit is least squares: for a given exponent the law is a straight line in x^-exponent, which has
its two other numbers in closed form (Golub & Pereyra 1973, variable projection); so only the
exponent is searched for.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

from microgpt_evolution.confidence_interval import half_width

LEAST_FOR_FLOOR = 4  # different x: through three any law with three numbers goes, true or not
LEAST = 3
EXPONENTS = (0.01, 4.0)  # at the first it looks like a logarithm, at the last like a step
N_TRIED = 100  # exponents, before the best of them is refined
N_REFINEMENTS = 60  # each leaves two thirds of the interval: 1e-11 of it in the end

Curve = Sequence[tuple[float, float]]  # x and a loss


@dataclass(frozen=True)
class PowerLaw:
    """How a loss falls.

    Attributes:
        scale: what is above the floor at x = 1.
        exponent: how fast that falls.
        floor: what no x gets below; 0 where there were too few x to tell.
    """

    scale: float
    exponent: float
    floor: float = 0.0

    def at(self, x: float) -> float:
        """Return the loss at an x."""
        return self.floor + self.scale * math.pow(x, -self.exponent)


@dataclass(frozen=True)
class FittedLaw:
    """A power law that was fitted to the curves of several seeds.

    Attributes:
        law: the one of all seeds together.
        has_floor: whether the floor was fitted, too.
        without: the law without each of the seeds; none, if there is only one, or if without one
            of them there are too few x.
    """

    law: PowerLaw
    has_floor: bool
    without: tuple[PowerLaw, ...] = ()

    def half_width(self, number: Callable[[PowerLaw], float]) -> float | None:
        """Return half the 95 % confidence interval of a number of the law; None if none is known.

        It is the jackknife's (Tukey 1958): a seed is left out, and what that changes, times the
        number of seeds, is what the seed has to say. A bootstrap of three seeds has ten different
        samples, none of them wider than the seeds themselves, and says too little.
        """
        n = len(self.without)
        if n < 2:
            return None
        whole = n * number(self.law)
        return half_width([whole - (n - 1) * number(law) for law in self.without])


def fit_law(curves: Mapping[int, Curve]) -> FittedLaw | None:
    """Return the law of the curves of some seeds.

    It is None if there are too few x, if losses do not fall, whichever seed is left out, or fall
    all at once, or if one has fallen to 0, which no power law does.

    Args:
        curves: by seed; x is above 0.
    """
    points = [point for curve in curves.values() for point in curve]
    n_different = _count_x(points)
    if n_different < LEAST or min(loss for _, loss in points) <= 0:
        return None
    has_floor = n_different >= LEAST_FOR_FLOOR
    fit, least = (_fit_with_floor, LEAST_FOR_FLOOR) if has_floor else (fit_line, LEAST)
    law = fit(points)
    if law is None:
        return None
    rests = [
        [point for seed, curve in curves.items() if seed != left_out for point in curve]
        for left_out in curves
    ]
    if any(_count_x(rest) < least for rest in rests):  # a single seed, or one that alone went far
        return FittedLaw(law, has_floor)
    without = tuple(other for rest in rests if (other := fit(rest)))
    return FittedLaw(law, has_floor, without) if len(without) == len(rests) else None


def _count_x(points: Curve) -> int:
    return len({x for x, _ in points})


def fit_line(curve: Curve) -> PowerLaw | None:
    """Return the law without a floor, a straight line in logarithms; None if there is none."""
    slope, intercept = linear_regression(
        [math.log(x) for x, _ in curve], [math.log(loss) for _, loss in curve]
    )
    return PowerLaw(math.exp(intercept), -slope) if 0 < -slope < EXPONENTS[1] else None


def _fit_with_floor(curve: Curve) -> PowerLaw | None:
    """Return the law with the smallest squared error; None if there is none."""
    first, last = map(math.log, EXPONENTS)
    tried = [first + (last - first) * i / (N_TRIED - 1) for i in range(N_TRIED)]
    best = min(range(N_TRIED), key=lambda i: _error(curve, tried[i]))
    low, high = tried[max(0, best - 1)], tried[min(N_TRIED - 1, best + 1)]
    for _ in range(N_REFINEMENTS):
        third = (high - low) / 3
        if _error(curve, low + third) < _error(curve, high - third):
            high -= third
        else:
            low += third
    law = _with_exponent(curve, math.exp((low + high) / 2))
    if law.scale <= 0 or best == N_TRIED - 1:  # the steeper, the better: no exponent is the best
        return None
    # No loss is below 0; and one that falls as a logarithm does not tell where it ends.
    return fit_line(curve) if law.floor < 0 or best == 0 else law


def _error(curve: Curve, log_exponent: float) -> float:
    law = _with_exponent(curve, math.exp(log_exponent))
    return fmean((law.at(x) - loss) ** 2 for x, loss in curve)


def _with_exponent(curve: Curve, exponent: float) -> PowerLaw:
    """Return the best law of an exponent."""
    line = linear_regression([x**-exponent for x, _ in curve], [loss for _, loss in curve])
    return PowerLaw(line.slope, exponent, line.intercept)
