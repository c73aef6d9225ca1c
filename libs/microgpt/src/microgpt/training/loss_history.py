"""What is kept of the losses while a training runs: recent ones, and points of a curve."""

from collections import deque
from collections.abc import Sequence

from microgpt.config import TrainConfig
from microgpt.state import N_RECENT, TrainState
from microgpt.training.history_file import HistoryPoint

N_POINTS = 500  # of a training's history, about: enough for a picture


class LossHistory:
    """The losses of a training, which may have begun before.

    Attributes:
        history: the mean loss of every so many steps, and each held-out loss.
        recent: the last losses.
        since_history: the sum and the number of the losses since the last point.
    """

    def __init__(self, config: TrainConfig, resume: TrainState | None) -> None:
        self._interval = max(1, config.steps // N_POINTS)
        self._step = resume.step if resume else 0
        self.history = list(resume.history) if resume else []
        self.recent = deque(resume.recent_losses if resume else (), maxlen=N_RECENT)
        self.since_history = resume.since_history if resume else (0.0, 0)

    def add(self, losses: Sequence[float]) -> None:
        """Take the losses of the next steps."""
        self.recent.extend(losses[-N_RECENT:])
        total, n = self.since_history
        for loss in losses:
            self._step += 1
            total, n = total + loss, n + 1
            if self._step % self._interval == 0:
                self.history.append(HistoryPoint(self._step, total / n))
                total, n = 0.0, 0
        self.since_history = total, n

    def mark(self, val_loss: float | None = None) -> None:
        """Make a point of the last step, with the held-out loss if it was measured."""
        total, n = self.since_history
        if n:
            self.history.append(HistoryPoint(self._step, total / n))
            self.since_history = 0.0, 0
        if val_loss is not None and self.history and self.history[-1].step == self._step:
            last = self.history.pop()
            self.history.append(HistoryPoint(last.step, last.loss, val_loss))

    def until(
        self, losses: Sequence[float], config: TrainConfig, resume: TrainState | None
    ) -> "LossHistory":
        """Return the course of this training as it was after so many losses."""
        course = LossHistory(config, resume)
        first, done = course._step, 0
        for point in self.history[len(course.history) :]:
            n = point.step - first
            if point.val_loss is not None and n <= len(losses):
                course.add(losses[done:n])
                course.mark(point.val_loss)
                done = n
        course.add(losses[done:])
        return course
