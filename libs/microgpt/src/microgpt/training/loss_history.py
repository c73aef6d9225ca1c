"""Rolling and down-sampled loss history of a training run."""

import math
from collections import deque
from collections.abc import Sequence

from microgpt.config import TrainConfig
from microgpt.state import TrainState
from microgpt.training.history_file import HistoryPoint

N_RECENT = 100  # number of losses in a checkpoint; meta.json contains their mean as train_loss
N_POINTS = 500  # approximate number of points in a history; sufficient for a chart


class LossHistory:
    """The losses of a training run, restored from a checkpoint if one is given."""

    def __init__(self, config: TrainConfig, resume: TrainState | None) -> None:
        self._start = config, resume
        self._interval = max(1, config.steps // N_POINTS)
        self._step = resume.step if resume else 0
        self.points = list(resume.history) if resume else []
        self.recent = deque(resume.recent_losses if resume else (), maxlen=N_RECENT)
        self.since_point = resume.since_history if resume else (0.0, 0)  # sum and count of losses

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

    def replay(self, losses: Sequence[float]) -> "LossHistory":
        """Return a new history that contains only these losses of the current `train` call."""
        history = LossHistory(*self._start)
        measured = {point.step: point.val_loss for point in self.points}
        for loss in losses:
            history.add([loss])
            if (val_loss := measured.get(history._step)) is not None:
                history.mark(val_loss)
        return history
