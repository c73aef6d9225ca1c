"""Compare gradients with central differences."""

import math
from collections.abc import Callable, Sequence

STEP = 1e-5  # the error of a difference is about STEP**2 = 1e-10


def worst_difference(
    numbers: list[float], grads: Sequence[float], evaluate: Callable[[], float]
) -> float:
    """Return the largest gradient error, relative to max(1, |central difference|).

    `evaluate` computes a value from `numbers`, which are changed one at a time.
    """
    errors = []
    for i, number in enumerate(numbers):
        values = []
        for step in (STEP, -STEP):
            numbers[i] = number + step
            values.append(evaluate())
        numbers[i] = number
        slope = (values[0] - values[1]) / (2 * STEP)
        errors.append(abs(grads[i] - slope) / max(1.0, abs(slope)))
    return max(error if math.isfinite(error) else math.inf for error in errors)
