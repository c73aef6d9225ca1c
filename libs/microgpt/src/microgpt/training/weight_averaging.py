"""Stochastic weight averaging (Izmailov et al. 2018), here while the learning rate still falls."""

import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from microgpt.config import TrainConfig
from microgpt.flat_weights import Numbers

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

MOMENTS = 100  # whose weights are averaged, at most


@dataclass(frozen=True)
class WeightAverage:
    """The mean of the weights of n moments in the tail of a training."""

    weights: Numbers
    n: int
    step: int  # of the last moment
    steps: int  # of the training

    def updated(self, weights: Numbers, step: int) -> "WeightAverage":
        """Return the mean with the weights of another step."""
        n = self.n + 1
        return WeightAverage(_moved(self.weights, weights, 1 / n), n, step, self.steps)


def moment_after(step: int, config: TrainConfig) -> int | None:
    """Return the first step after this one whose weights are to be averaged, if one is left."""
    if not config.average_tail:
        return None
    interval = math.ceil(config.steps / MOMENTS)
    tail = round(config.average_tail * config.steps)
    n_left = config.steps - max(step, config.steps - tail)
    # Counted from the end, as the weights after the last step are the best of them.
    return config.steps - (n_left - 1) // interval * interval if n_left > 0 else None


def _moved(mean: Numbers, weights: Numbers, share: float) -> Numbers:
    """Return a mean, moved towards weights by a share of the way."""
    if isinstance(mean, array):  # of the reference, which does without numpy
        pairs = zip(mean, cast("array[float]", weights), strict=True)
        return array("d", (m + share * (w - m) for m, w in pairs))
    a, b = cast("NDArray[Any]", mean), cast("NDArray[Any]", weights)
    return cast("Numbers", a + a.dtype.type(share) * (b - a))
