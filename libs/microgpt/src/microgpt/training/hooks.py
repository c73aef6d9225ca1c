"""Hooks, which observe a training run, save its state or stop it."""

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt.training_state import TrainEvent, TrainingPlan, TrainState

if TYPE_CHECKING:
    from microgpt.training.loop import TrainingLoop

STATE_INTERVAL_S, STATE_SHARE = 5.0, 1 / 20  # saving: minimum interval, maximum fraction of time


class Hook:
    """Observes a training run. Override the methods that you need; the others do nothing."""

    def on_event(self, event: TrainEvent) -> None:
        """Receive the losses since the last event; called about every 50 ms."""

    def on_step(self, run: "TrainingLoop") -> None:
        """Observe the run; called about every 20 ms, and after the step that `next_step` returned.

        It is not called after the last step, because the training result contains the final state.
        """

    def next_step(self, run: "TrainingLoop") -> int | None:
        """Return the next step after which to call `on_step`, or None for no particular step."""
        return None

    def should_stop(self) -> bool:
        """Return whether to stop; called about every 20 ms, or after each step that takes longer.

        The training result covers all completed steps, and the run can be resumed from its state.
        """
        return False


class OnEvent(Hook):
    """Calls a function with each event."""

    def __init__(self, function: Callable[[TrainEvent], None]) -> None:
        self._function = function

    def on_event(self, event: TrainEvent) -> None:
        """Call the function with the event."""
        self._function(event)


class StopWhen(Hook):
    """Stops the run once a function returns true."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition = condition

    def should_stop(self) -> bool:
        """Call the function, and return its result."""
        return self._condition()


class Checkpoints(Hook):
    """Calls a function, such as `TrainingDirectory.keep`, at the start and about every 5 s."""

    def __init__(self, save: Callable[[TrainingPlan, TrainState], object]) -> None:
        self._save, self._steps = save, 0

    def on_step(self, run: "TrainingLoop") -> None:
        """Save the state if a checkpoint is due."""
        if run.config.steps != self._steps:  # the first call, or the run has restarted
            self._steps, self._due = run.config.steps, 0.0
            self._saved_step = run.job.resume.step if run.job.resume else -1
        if run.step == self._saved_step or perf_counter() < self._due:
            return
        started = perf_counter()
        self._save(run.plan, run.state())
        self._saved_step, now = run.step, perf_counter()
        self._due = now + max(STATE_INTERVAL_S, (now - started) / STATE_SHARE)
