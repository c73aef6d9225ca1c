"""The time limit of a training run, and the hook that keeps the run within it.

`Fitting.fit` measures the speed on random documents, and `choice.choose` derives the settings from
it. In training, `Deadline` measures again, and restarts a run that would end too early or too late.
`--budget`, with `--steps` if the run has restarted, gives the same result without a measurement.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt.config import ModelConfig
from microgpt.parameters import count_params
from microgpt.training.hooks import Hook
from microgpt.training.operations import held_out_operations, step_operations

if TYPE_CHECKING:
    from microgpt.training.loop import TrainingLoop
    from microgpt.training.planning import TrainingJob

# Seconds reserved for start-up and final samples, for writing each weight, and for chat replies.
RESERVE_S, RESERVE_PER_WEIGHT_S, REPLIES_S = 0.4, 3e-6, 0.6
WARM_UP_S = 0.5  # time before the measurement; the first steps are slower, because caches are cold
# Duration of the speed measurement: fraction of the time limit, and minimum in seconds.
MEASURED, MEASURED_S = 0.02, 1.0
# Fractions of the time limit. A run is planned to end early by MARGIN, because machines slow down.
# It restarts if it is expected to end earlier than planned by EXPECTED_EARLY, or later by
# EXPECTED_LATE. It is stopped, even if incomplete, when it is later than planned by LATE.
MARGIN, EXPECTED_EARLY, EXPECTED_LATE, LATE = 0.05, 0.06, 0.015, 0.08


@dataclass
class TimeLimit:
    """The time limit of a run, which does not include compilation."""

    minutes: float
    started: float  # value of `clock` when the run started; increased by excluded time
    reserve_s: float = RESERVE_S
    clock: Callable[[], float] = perf_counter  # returns the time in seconds

    @property
    def seconds(self) -> float:
        """The time limit in seconds."""
        return 60 * self.minutes

    def seconds_left(self) -> float:
        """Return the remaining time for training, in seconds; negative within the margin."""
        return self.started + (1 - MARGIN) * self.seconds - self.reserve_s - self.clock()

    def reserve_for(self, model: ModelConfig, *, is_chat: bool) -> None:
        """Reserve the time to write a model and to generate the replies of a chat model."""
        self.reserve_s += RESERVE_PER_WEIGHT_S * count_params(model) + REPLIES_S * is_chat


class Deadline(Hook):
    """A hook that ends a run at its time limit, and measures how many steps fit into the time."""

    def __init__(self, job: "TrainingJob", cost_ratio: float) -> None:
        """Measure the speed, unless cost_ratio (see `Place`) is 0; `job` must have a limit."""
        assert job.limit
        self.restart_with_steps: int | None = None  # number of steps for a restart, if needed
        self._job, self._limit, self._cost_ratio = job, job.limit, cost_ratio
        self._left_before, self._left_at_start = job.limit.seconds_left(), 0.0
        self._first: tuple[float, float] | None = None  # time left and work done after warm-up

    def on_step(self, run: "TrainingLoop") -> None:
        """Measure the speed of the run, and end the run if its time is up."""
        left = self._limit.seconds_left()
        if self._cost_ratio:
            self._measure(run, left)
        if run.step and left < -LATE * self._limit.seconds:
            run.end()

    def should_stop(self) -> bool:
        """Return whether the run must restart with another number of steps."""
        return self.restart_with_steps is not None

    def _measure(self, run: "TrainingLoop", left: float) -> None:
        """Set `restart_with_steps` if the run would end too early or too late."""
        validation, test = self._costs

        def work(step: int) -> float:
            """Return the cost of the first `step` steps with evaluations, relative to one step."""
            n_evaluations, rest = divmod(step, run.config.steps_between_evaluations)
            return step + (n_evaluations + (step == steps and rest > 0)) * validation

        steps = run.config.steps
        done = work(run.step)
        self._left_at_start = self._left_at_start or left
        if not self._first and run.step and left <= self._left_at_start - WARM_UP_S:
            self._first = left, done
        seconds = max(MEASURED_S, MEASURED * self._limit.seconds)
        if not self._first or done == self._first[1] or self._first[0] - left < seconds:
            return
        per_step = (self._first[0] - left) / (done - self._first[1])
        whole = self._cost_ratio * work(steps) + test
        self._cost_ratio = 0
        late = ((whole - done) * per_step - left) / self._limit.seconds
        # A student's steps are not increased: its teachers would have to predict more targets.
        choice = None if self._job.teachers else self._job.choice
        can_grow = choice and not choice.is_limited  # a small text does not need the whole time
        if late > EXPECTED_LATE or (can_grow and late < -EXPECTED_EARLY):
            setup_s = self._left_before - self._left_at_start  # a restart repeats the preparation
            self.restart_with_steps = max(1, int(steps * (left - setup_s) / (whole * per_step)))

    @cached_property
    def _costs(self) -> list[float]:
        """The cost of scoring the validation and the test set, relative to one step."""
        sets, plan, chunks = self._job.sets, self._job.plan, self._job.chunks
        length = max(1.0, chunks.n_tokens / max(1, len(chunks)))
        step = step_operations(plan.model, plan.config, length)
        return [
            held_out_operations(docs, plan.model, plan.tokenizer, plan.config.text) / step
            for docs in (sets.validation, sets.test)
        ]
