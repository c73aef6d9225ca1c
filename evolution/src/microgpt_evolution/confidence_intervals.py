"""Means over seeds with 95 % confidence intervals, and the paired difference of two settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Self

# Two-sided 95 % quantiles of Student's t-distribution for 1 to 9 degrees of freedom
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def quantile(n_free: int) -> float:
    """Return the two-sided 95 % quantile of Student's t-distribution; the error is below 0.0002."""
    if n_free <= len(T_95):
        return T_95[n_free - 1]
    # Abramowitz & Stegun 1964, 26.7.5
    return 1.95996 + 2.3722 / n_free + 2.8226 / n_free**2 + 2.5558 / n_free**3


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its confidence interval, such as "2.3200 ± 0.0248"."""

    value: float
    half_width: float | None = None  # half-width of the 95 % interval; None for one seed

    @classmethod
    def over(cls, numbers: Sequence[float]) -> Self:
        """Return the mean of numbers, one per seed, with its interval if there are several."""
        if (n := len(numbers)) == 1:
            return cls(numbers[0])
        return cls(fmean(numbers), quantile(n - 1) * stdev(numbers) / sqrt(n))

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0; a mean difference is then statistically significant."""
        return self.half_width is not None and abs(self.value) > self.half_width

    def times(self, factor: float) -> Self:
        """Return the mean and its interval, multiplied by a non-negative factor."""
        half = None if self.half_width is None else self.half_width * factor
        return type(self)(self.value * factor, half)

    def show(self, digits: int = 4) -> str:
        """Format the mean and its interval with `digits` decimal places."""
        half = "" if self.half_width is None else f" ± {self.half_width:.{digits}f}"
        return f"{self.value:.{digits}f}{half}"

    def __str__(self) -> str:
        return self.show()


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Mean:
    """Return the mean of first - second over the common seeds, with its confidence interval.

    With fewer than two common seeds, return the difference of the means, without an interval.
    """
    if len(common := [seed for seed in first if seed in second]) > 1:
        return Mean.over([first[seed] - second[seed] for seed in common])
    return Mean(fmean(first.values()) - fmean(second.values()))


def describe(numbers: Sequence[float]) -> str:
    """Format the mean, the interval and the size of a sample: "2.3200 ± 0.0248 (95%, n=3)"."""
    return f"{Mean.over(numbers)} ({'95%, ' if len(numbers) > 1 else ''}n={len(numbers)})"
