"""Decide when a training run ends, and record the best weights so far."""

from dataclasses import dataclass, field
from typing import Literal

from microgpt.config import TrainConfig
from microgpt.parameters import Numbers

# "steps": all steps are done. "until": `config.until` steps are done. "stopped": a hook ended the
# run. "patience": the validation loss did not improve in the last `config.patience` evaluations.
Ending = Literal["steps", "patience", "until", "stopped"]


@dataclass(frozen=True)
class BestWeights:
    """The weights with the lowest validation loss so far."""

    step: int  # step after which the weights were evaluated
    val_loss: float  # validation loss of the weights, in nats per token
    weights: Numbers = field(repr=False)  # flat weights in the order of `weight_shapes`
    measured_at: int  # step of the latest evaluation
    n_worse: int  # number of evaluations since the best weights were found


def ending(step: int, best: BestWeights | None, config: TrainConfig) -> Ending | None:
    """Return the reason to end training after this step, or None to continue."""
    if step >= config.steps:
        return "steps"
    if best and config.patience and best.n_worse >= config.patience:
        return "patience"
    return "until" if config.until and step >= config.until else None
