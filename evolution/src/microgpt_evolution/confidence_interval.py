"""Mean and 95 % confidence interval of a small sample."""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev

# Two-sided 95 % quantiles of Student's t-distribution for 1 to 9 degrees of freedom. The last value
# is also used for more degrees of freedom, which makes the interval slightly too wide.
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def half_width(numbers: Sequence[float]) -> float:
    """Return the half-width of the 95 % confidence interval of the mean of two or more numbers."""
    n = len(numbers)
    return T_95[min(n - 1, len(T_95)) - 1] * stdev(numbers) / sqrt(n)


def describe(numbers: Sequence[float]) -> str:
    """Format the mean of a sample and its 95 % confidence interval.

    Examples:
        >>> describe([2.31, 2.32, 2.33]), describe([2.31])
        ('2.3200 ± 0.0248 (95%, n=3)', '2.3100 (n=1)')
    """
    if len(numbers) == 1:
        return f"{numbers[0]:.4f} (n=1)"
    return f"{fmean(numbers):.4f} ± {half_width(numbers):.4f} (95%, n={len(numbers)})"
