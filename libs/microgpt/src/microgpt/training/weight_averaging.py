"""Stochastic weight averaging (Izmailov et al. 2018) with a decaying learning rate."""

import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from microgpt.config import TrainConfig
from microgpt.flat_weights import Numbers

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

MAX_AVERAGED = 100  # maximum number of steps whose weights are averaged


@dataclass(frozen=True)
class WeightAverage:
    """The mean of the weights at n steps near the end of a training run."""

    weights: Numbers = field(repr=False)
    n: int  # number of averaged steps
    step: int  # latest averaged step
    steps: int  # total number of steps of the training run

    def updated(self, weights: Numbers, step: int) -> "WeightAverage":
        """Return the mean updated with the weights of another step."""
        n = self.n + 1
        return WeightAverage(_interpolate(self.weights, weights, 1 / n), n, step, self.steps)


def next_averaged_step(step: int, config: TrainConfig) -> int | None:
    """Return the next step whose weights are averaged, or None if there is none."""
    if not config.average_tail:
        return None
    interval = math.ceil(config.steps / MAX_AVERAGED)
    tail = round(config.average_tail * config.steps)
    n_left = config.steps - max(step, config.steps - tail)
    # Count back from the last step to include the last weights, which are the best.
    return config.steps - (n_left - 1) // interval * interval if n_left > 0 else None


def _interpolate(mean: Numbers, weights: Numbers, share: float) -> Numbers:
    """Return mean + share · (weights − mean)."""
    if isinstance(mean, array):  # the reference engine does not import numpy
        pairs = zip(mean, cast("array[float]", weights), strict=True)
        return array("d", (m + share * (w - m) for m, w in pairs))
    a, b = cast("NDArray[Any]", mean), cast("NDArray[Any]", weights)
    return cast("Numbers", a + a.dtype.type(share) * (b - a))
