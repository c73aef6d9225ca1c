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

MAX_AVERAGED = 100  # most steps whose weights are averaged


@dataclass(frozen=True)
class WeightAverage:
    """The mean of the weights at n steps in the tail of a training."""

    weights: Numbers = field(repr=False)
    n: int
    step: int  # last averaged step
    steps: int  # of the training

    def updated(self, weights: Numbers, step: int) -> "WeightAverage":
        """Return the mean including the weights of another step."""
        n = self.n + 1
        return WeightAverage(_interpolate(self.weights, weights, 1 / n), n, step, self.steps)


def next_averaged_step(step: int, config: TrainConfig) -> int | None:
    """Return the next step whose weights are averaged, or None."""
    if not config.average_tail:
        return None
    interval = math.ceil(config.steps / MAX_AVERAGED)
    tail = round(config.average_tail * config.steps)
    n_left = config.steps - max(step, config.steps - tail)
    # Counted from the end, as the last weights are the best.
    return config.steps - (n_left - 1) // interval * interval if n_left > 0 else None


def _interpolate(mean: Numbers, weights: Numbers, share: float) -> Numbers:
    """Interpolate linearly from the mean to the weights."""
    if isinstance(mean, array):  # the reference does not load numpy
        pairs = zip(mean, cast("array[float]", weights), strict=True)
        return array("d", (m + share * (w - m) for m, w in pairs))
    a, b = cast("NDArray[Any]", mean), cast("NDArray[Any]", weights)
    return cast("Numbers", a + a.dtype.type(share) * (b - a))
