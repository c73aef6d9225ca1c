"""Hooks, which observe a training run, keep its weights or stop it."""

import math
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

from microgpt.evaluation.held_out_loss import EvaluationSet
from microgpt.state import TrainEvent, TrainingPlan, TrainState
from microgpt.training.kept_weights import BestWeights, WeightAverage, next_averaged_step

if TYPE_CHECKING:
    from microgpt.training.loop import TrainingLoop

STATE_INTERVAL_S, STATE_SHARE = 5.0, 1 / 20  # interval and maximum share of time for checkpoints


class Hook:
    """Observes a training run. Override the methods that you need; the others do nothing.

    Examples:
        >>> class Printer(Hook):
        ...     def on_event(self, event):
        ...         print(event.step, *event.losses[-1:])
    """

    def on_event(self, event: TrainEvent) -> None:
        """Receive the losses since the last event; called about every 50 ms."""

    def on_step(self, run: "TrainingLoop") -> None:
        """Observe the run between two steps; called about every 20 ms and after `next_step`.

        It is not called after the last step; the result has that state.
        """

    def next_step(self, run: "TrainingLoop") -> int | None:
        """Return the next step after which `on_step` must be called, or None if any will do."""
        return None

    def should_stop(self) -> bool:
        """Return whether to stop; called about every 20 ms, even within a step.

        The result covers all completed steps; its state can be resumed.
        """
        return False


class OnEvent(Hook):
    """Calls a function with each event."""

    def __init__(self, function: Callable[[TrainEvent], None]) -> None:
        self._function = function

    def on_event(self, event: TrainEvent) -> None:
        """Call the function."""
        self._function(event)


class StopWhen(Hook):
    """Stops the run once a function returns true."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition = condition

    def should_stop(self) -> bool:
        """Return what the function returns."""
        return self._condition()


class Checkpoints(Hook):
    """Calls a function, such as `TrainingDirectory.keep`, at the start and about every 5 s."""

    def __init__(self, save: Callable[[TrainingPlan, TrainState], object]) -> None:
        self._save = save
        self._run: ReferenceType[TrainingLoop] | None = None  # its dataset is to be freed

    def on_step(self, run: "TrainingLoop") -> None:
        """Save the state if it is due."""
        if not self._run or self._run() is not run:
            self._run, resume = ref(run), run.job.resume
            self._saved_step = resume.step if resume else -1
            self._due = perf_counter() + STATE_INTERVAL_S if resume else 0.0
            self._seconds = 0.0  # duration of the latest save
        if perf_counter() < self._due or run.step == self._saved_step:
            return
        started = perf_counter()
        self._save(run.plan, run.state())
        now = perf_counter()
        self._saved_step = run.step
        # One slow write, such as the first or one during a pause, does not delay the next.
        usual_s, self._seconds = min(self._seconds, now - started), now - started
        self._due = now + max(STATE_INTERVAL_S, usual_s / STATE_SHARE)


class Averaging(Hook):
    """Averages the weights over the last steps; see `TrainConfig.average_tail`."""

    def next_step(self, run: "TrainingLoop") -> int | None:
        """Return the next step whose weights are averaged."""
        return next_averaged_step(run.step, run.config)

    def on_step(self, run: "TrainingLoop") -> None:
        """Add the current weights to the average if this step is averaged."""
        step, average = run.step, run.average
        if next_averaged_step(step - 1, run.config) != step:
            return
        if not average:
            run.average = WeightAverage(run.engine.flat_weights(), 1, step, run.config.steps)
        elif average.step < step:
            run.average = average.updated(run.engine.flat_weights(), step)


class Validation(Hook):
    """Measures the validation loss `TrainConfig.evaluations` times and keeps the best weights."""

    def __init__(self, documents: EvaluationSet) -> None:
        self._documents = documents

    def next_step(self, run: "TrainingLoop") -> int | None:
        """Return the next step of an evaluation."""
        interval = run.config.steps_between_evaluations
        return (run.step // interval + 1) * interval

    def on_step(self, run: "TrainingLoop") -> None:
        """Measure the loss if it is due and the run is not stopped meanwhile."""
        step, config = run.step, run.config
        is_due = step % config.steps_between_evaluations == 0 or step >= config.steps
        if not (step and is_due) or (run.best and run.best.measured_at >= step):
            return
        weights = run.weights()
        loss = run.loss(self._documents, weights)
        if loss is None:
            return
        if not math.isfinite(loss):
            raise run.diverged(f"after step {step}")
        if run.best and loss >= run.best.val_loss:
            run.best = replace(run.best, measured_at=step, n_worse=run.best.n_worse + 1)
        else:
            run.best = BestWeights(step, loss, weights, measured_at=step, n_worse=0)
        run.history.mark(loss)
        run.report(loss)
