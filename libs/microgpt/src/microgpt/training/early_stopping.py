"""Early stopping: keep the best weights and stop when the validation loss stops improving."""

from dataclasses import dataclass, field, replace
from typing import Literal

from microgpt.config import TrainConfig
from microgpt.flat_weights import Numbers

# "steps": all steps are done. "patience": the validation loss has not improved for
# `config.patience` evaluations. "stopped": the caller interrupted training.
Ending = Literal["steps", "patience", "stopped"]


@dataclass(frozen=True)
class BestWeights:
    """The weights with the lowest validation loss so far."""

    step: int  # step after which the weights were evaluated
    val_loss: float  # validation loss of the weights, in nats per token
    weights: Numbers = field(repr=False)  # flat weights in the order of `weight_shapes`
    measured_at: int  # step of the latest evaluation
    n_worse: int  # number of evaluations since the best weights


def keep_best(
    best: BestWeights | None, step: int, val_loss: float, weights: Numbers
) -> BestWeights:
    """Return the better of the best weights so far and the weights just evaluated."""
    if best and val_loss >= best.val_loss:
        return replace(best, measured_at=step, n_worse=best.n_worse + 1)
    return BestWeights(step, val_loss, weights, measured_at=step, n_worse=0)


def ending(step: int, best: BestWeights | None, config: TrainConfig) -> Ending | None:
    """Return the reason to end training after this step, or None to continue."""
    if step >= config.steps:
        return "steps"
    return "patience" if best and config.patience and best.n_worse >= config.patience else None
