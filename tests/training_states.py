"""A hook that records states of a training run."""

from collections.abc import Callable
from typing import Any

from microgpt import Hook, TrainState


class StatesEvery(Hook):
    """A hook that records the training state after every n steps, and passes it to `save`."""

    def __init__(self, n: int, save: Callable[[TrainState], Any] = lambda state: None) -> None:
        self._n, self._save, self._last = n, save, -1
        self.states: list[TrainState] = []

    def next_step(self, run: Any) -> int:
        return (run.step // self._n + 1) * self._n

    def on_step(self, run: Any) -> None:
        resume = run.job.resume
        if run.step % self._n or run.step in (self._last, resume and resume.step):
            return
        self._last = run.step
        self.states.append(state := run.state())
        self._save(state)
