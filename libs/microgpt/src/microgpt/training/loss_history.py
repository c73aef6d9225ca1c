"""Rolling and down-sampled loss history of a training run."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from microgpt.config import MAX_SIZE

N_RECENT = 100  # number of losses in a checkpoint; meta.json contains their mean as train_loss
N_POINTS = 500  # approximate number of points in a history; sufficient for a chart


@dataclass(frozen=True)
class HistoryPoint:
    """A point on the loss curve."""

    step: Annotated[int, Field(ge=1, le=MAX_SIZE)]
    # Mean training loss since the previous point, in nats per token; as there, if no step since has
    # predicted a token that counts.
    loss: float
    val_loss: float | None = None  # validation loss after this step, if it was measured


class LossHistory:
    """The losses of a training run, restored from a checkpoint if one is given."""

    def __init__(
        self,
        steps: int,
        step: int = 0,
        points: Sequence[HistoryPoint] = (),
        recent: Sequence[float] = (),
        since_point: tuple[float, int] = (0.0, 0),
    ) -> None:
        self._interval, self._step = max(1, steps // N_POINTS), step
        self.points, self.recent = list(points), deque(recent, maxlen=N_RECENT)
        self.since_point = since_point  # sum and count of losses

    def add(self, losses: Sequence[float]) -> None:
        """Append the losses of consecutive steps; NaN marks a step without targets."""
        self.recent.extend(loss for loss in losses if not math.isnan(loss))
        total, n = self.since_point
        for loss in losses:
            self._step += 1
            if not math.isnan(loss):
                total, n = total + loss, n + 1
            if n and self._step % self._interval == 0:
                self.points.append(HistoryPoint(self._step, total / n))
                total, n = 0.0, 0
        self.since_point = total, n

    def mark(self, val_loss: float | None = None) -> None:
        """Add a point for the last step, with the validation loss if given."""
        total, n = self.since_point
        if n:
            self.points.append(HistoryPoint(self._step, total / n))
            self.since_point = 0.0, 0
        if val_loss is not None and self.points:
            last = self.points[-1]  # of an earlier step, if no step since has had a target
            if last.step == self._step or last.val_loss is None:
                self.points.pop()
            self.points.append(HistoryPoint(self._step, last.loss, val_loss))
