"""The state of a training run: weights, moments, those with the lowest validation loss, losses."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from microgpt.config import MAX_SIZE, DType, TrainConfig
from microgpt.flat_weights import Numbers
from microgpt.value import total

if TYPE_CHECKING:
    from microgpt.data.split import DataFacts

# "steps": all steps are done. "patience": the validation loss has not improved for
# `config.patience` evaluations. "until": the step `config.until`. "stopped": a hook asked to stop.
Ending = Literal["steps", "patience", "until", "stopped"]
N_RECENT = 100  # number of losses in a checkpoint; meta.json contains their mean as train_loss
N_POINTS = 500  # approximate number of points in a history; sufficient for a chart


@dataclass(frozen=True)
class BestWeights:
    """The weights with the lowest validation loss so far."""

    step: int  # step after which the weights were evaluated
    val_loss: float  # validation loss of the weights, in nats per token
    weights: Numbers = field(repr=False)  # flat weights in the order of `weight_shapes`
    measured_at: int  # step of the latest evaluation
    n_worse: int  # number of evaluations since the best weights


@dataclass(frozen=True)
class HistoryPoint:
    """A point on the loss curve."""

    step: Annotated[int, Field(ge=1, le=MAX_SIZE)]
    loss: float  # mean training loss since the previous point, in nats per token
    val_loss: float | None = None  # validation loss after this step, if it was measured


@dataclass(frozen=True)
class TrainState:
    """A checkpoint. A run resumed from it gives the same result as an uninterrupted run."""

    step: int  # number of completed steps
    weights: Numbers = field(repr=False)  # all weights, in the order of `weight_shapes`
    adam_m: Numbers = field(repr=False)  # running mean of each gradient
    adam_v: Numbers = field(repr=False)  # running mean of each squared gradient
    dtype: DType
    best: BestWeights | None = None  # best weights; None before the first evaluation
    recent_losses: Sequence[float] = field(default=(), repr=False)  # in nats
    history: Sequence[HistoryPoint] = field(default=(), repr=False)
    since_history: tuple[float, int] = (0.0, 0)  # sum and count of losses not yet in history
    seconds: float = 0.0  # training time so far, in seconds
    # `trained_on` of the result; empty if it is unknown.
    trained_on: "tuple[DataFacts | None, ...]" = field(default=(), repr=False, compare=False)

    @property
    def train_loss(self) -> float | None:
        """The mean of the recent losses, or None before the first step."""
        losses = self.recent_losses
        return total(losses) / len(losses) if losses else None

    @property
    def final_weights(self) -> Numbers:
        """The weights of a run that ends here: the best ones, or the latest without validation."""
        return self.best.weights if self.best else self.weights


def ending(step: int, best: BestWeights | None, config: TrainConfig) -> Ending | None:
    """Return the reason to end training after this step, or None to continue."""
    if step >= config.steps:
        return "steps"
    if best and config.patience and best.n_worse >= config.patience:
        return "patience"
    return "until" if config.until and step >= config.until else None


class LossHistory:
    """The rolling and down-sampled losses of a training run, perhaps a resumed one."""

    def __init__(self, steps: int, state: TrainState | None) -> None:
        self._interval, self._step = max(1, steps // N_POINTS), state.step if state else 0
        self.points = list(state.history if state else ())
        self.recent = deque(state.recent_losses if state else (), maxlen=N_RECENT)
        self.since_point = state.since_history if state else (0.0, 0)  # sum and count of losses

    def add(self, losses: Sequence[float]) -> None:
        """Append the losses of consecutive steps."""
        self.recent.extend(losses)
        total, n = self.since_point
        for loss in losses:
            self._step, total, n = self._step + 1, total + loss, n + 1
            if self._step % self._interval == 0:
                self.points.append(HistoryPoint(self._step, total / n))
                total, n = 0.0, 0
        self.since_point = total, n

    def mark(self, val_loss: float | None = None) -> None:
        """Add a point for the last step, with the validation loss if given."""
        total, n = self.since_point
        if n:
            self.points.append(HistoryPoint(self._step, total / n))
            self.since_point = 0.0, 0
        if val_loss is not None:
            self.points[-1] = replace(self.points[-1], val_loss=val_loss)
