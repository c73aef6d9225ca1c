"""Early stopping: keep the best weights and stop when the held-out loss no longer improves."""

from dataclasses import dataclass, field, replace
from typing import Literal

from microgpt.config import TrainConfig
from microgpt.flat_weights import Numbers

# All steps done; no better held-out loss for `patience` evaluations; interrupted.
Ending = Literal["steps", "patience", "stopped"]


@dataclass(frozen=True)
class BestWeights:
    """The weights with the lowest held-out loss so far."""

    step: int
    val_loss: float  # in nats per token
    weights: Numbers = field(repr=False)  # in the order of `weight_shapes`
    measured_at: int  # step of the last measurement
    n_worse: int  # measurements since the best


def keep_best(
    best: BestWeights | None, step: int, val_loss: float, weights: Numbers
) -> BestWeights:
    """Return the best weights after another evaluation."""
    if best and val_loss >= best.val_loss:
        return replace(best, measured_at=step, n_worse=best.n_worse + 1)
    return BestWeights(step, val_loss, weights, measured_at=step, n_worse=0)


def ending(step: int, best: BestWeights | None, config: TrainConfig) -> Ending | None:
    """Return why training ends after this step, or None if it continues."""
    if step >= config.steps:
        return "steps"
    return "patience" if best and config.patience and best.n_worse >= config.patience else None
