"""The weights that a run keeps: those with the lowest validation loss, or an average.

Early stopping ends a run when the validation loss stops improving. Stochastic weight averaging
(Izmailov et al. 2018) is used with a decaying learning rate.
"""

import math
from array import array
from dataclasses import dataclass, field
from typing import Any, Literal

from microgpt.config import TrainConfig
from microgpt.flat_weights import Numbers

# "steps": all steps are done. "patience": the validation loss has not improved for
# `config.patience` evaluations. "until": the step `config.until`. "stopped": a hook asked to stop.
Ending = Literal["steps", "patience", "until", "stopped"]
MAX_AVERAGED = 100  # maximum number of steps whose weights are averaged


@dataclass(frozen=True)
class BestWeights:
    """The weights with the lowest validation loss so far."""

    step: int  # step after which the weights were evaluated
    val_loss: float  # validation loss of the weights, in nats per token
    weights: Numbers = field(repr=False)  # flat weights in the order of `weight_shapes`
    measured_at: int  # step of the latest evaluation
    n_worse: int  # number of evaluations since the best weights


def ending(step: int, best: BestWeights | None, config: TrainConfig) -> Ending | None:
    """Return the reason to end training after this step, or None to continue."""
    if step >= config.steps:
        return "steps"
    if best and config.patience and best.n_worse >= config.patience:
        return "patience"
    return "until" if config.until and step >= config.until else None


@dataclass(frozen=True)
class WeightAverage:
    """The mean of the weights at n steps near the end of a training run."""

    weights: Numbers = field(repr=False)
    n: int  # number of averaged steps
    step: int  # latest averaged step
    steps: int  # total number of steps of the training run

    def updated(self, weights: Any, step: int) -> "WeightAverage":
        """Return the mean updated with the weights of another step."""
        n = self.n + 1
        mean: Any = self.weights
        if isinstance(mean, array):  # the reference engine does not import numpy
            pairs = zip(mean, weights, strict=True)
            average: Any = array("d", (old + 1 / n * (new - old) for old, new in pairs))
        else:
            average = mean + mean.dtype.type(1 / n) * (weights - mean)
        return WeightAverage(average, n, step, self.steps)


def next_averaged_step(step: int, config: TrainConfig) -> int | None:
    """Return the next step whose weights are averaged, or None if there is none."""
    if not config.average_tail:
        return None
    interval = math.ceil(config.steps / MAX_AVERAGED)
    tail = round(config.average_tail * config.steps)
    n_left = config.steps - max(step, config.steps - tail)
    # Count back from the last step to include the last weights, which are the best.
    return config.steps - (n_left - 1) // interval * interval if n_left > 0 else None
