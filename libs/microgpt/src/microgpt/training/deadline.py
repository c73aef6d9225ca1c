"""End a run in time: correct its number of steps once, and stop it when the time is over.

The number of steps follows from a speed that was measured before, on random documents. The first
steps of the run measure it again. If the run would end late, or early although the text is worth
the time, it begins again with the right number. Its schedule is then that of any run with this
number of steps, which `--budget` and `--steps` repeat, and no change within a run is recorded.
"""

import math
from collections.abc import Sequence
from functools import cached_property

from microgpt.config import TrainConfig
from microgpt.data.tokenizer import Document
from microgpt.state import TrainResult
from microgpt.training.choice import has_steps, held_out_operations
from microgpt.training.hooks import Hook
from microgpt.training.loop import TrainingLoop
from microgpt.training.operations import step_operations
from microgpt.training.planning import TrainingJob

WARM_UP_S = 0.5  # the first steps are slower, because caches are cold
# Fraction of the time that the measurement takes, and its minimum in seconds.
MEASURED, MEASURED_S = 0.02, 1.0
# Fractions of the time by which a run may be expected to end early or late, and end late at all.
EXPECTED_EARLY, EXPECTED_LATE, LATE = 0.06, 0.015, 0.03
USED = 0.9  # minimum fraction of the budget that a run uses if the text is worth more steps


def train_job(job: TrainingJob, *, threads: int = 1, hooks: Sequence[Hook] = ()) -> TrainResult:
    """Train the model of a job; see `train` for the arguments.

    With a time limit, a new run may begin again with another number of steps, and ends in time.
    """
    if not job.limit:
        return TrainingLoop(job, threads, hooks).run()
    deadline = Deadline(job, None if job.resume else job.place.n_models)
    result = TrainingLoop(job, threads, (*hooks, deadline)).run()
    if deadline.steps is None:
        return result
    job = job.with_steps(deadline.steps)
    return TrainingLoop(job, threads, (*hooks, Deadline(job, None))).run()


class Deadline(Hook):
    """Ends a run at its time limit, and measures early how many steps it has time for."""

    def __init__(self, job: TrainingJob, n_models: float | None) -> None:
        """Measure if there is time for n_models times the cost of the job; None does not."""
        assert job.limit
        self.steps: int | None = None  # number of steps for which there is time, if it differs
        self._limit, self._n_models = job.limit, n_models
        self._left_at_start = 0.0
        self._first: tuple[float, float] | None = None  # time left and work after the warm-up
        self._job = job
        self._left_before = self._limit.seconds_left()

    def on_step(self, run: TrainingLoop) -> None:
        """End the run if its time is over."""
        left = self._limit.seconds_left()
        if self._n_models is not None:
            self._measure(run, left, self._n_models)
        if run.step and left - run.evaluation_s < -LATE * self._limit.seconds:
            run.end()

    def should_stop(self) -> bool:
        """Return whether the run has to begin again with another number of steps."""
        return self.steps is not None

    def _measure(self, run: TrainingLoop, left: float, n_models: float) -> None:
        """Compare the time that the run needs with the time that is left."""
        config, done = run.config, self._work(run.step, run.config)
        self._left_at_start = self._left_at_start or left
        if not self._first and run.step and left <= self._left_at_start - WARM_UP_S:
            self._first = left, done
        seconds = max(MEASURED_S, MEASURED * self._limit.seconds)
        if not self._first or done == self._first[1] or self._first[0] - left < seconds:
            return
        self._n_models = None
        per_step = (self._first[0] - left) / (done - self._first[1])
        work = n_models * self._work(config.steps, config) + self._steps_of(self._job.parts.test)
        late = ((work - done) * per_step - left) / self._limit.seconds
        if late > EXPECTED_LATE or (late < -EXPECTED_EARLY and work > USED * self._budget()):
            setup_s = self._left_before - self._left_at_start  # the documents are encoded again
            self.steps = max(1, int(config.steps * (left - setup_s) / (work * per_step)))

    def _work(self, step: int, config: TrainConfig) -> float:
        """Return the cost of a model's first steps and the evaluations after them, in steps."""
        n_evaluations, rest = divmod(step, config.steps_between_evaluations)
        n_evaluations += step == config.steps and rest > 0
        return step + n_evaluations * self._evaluation

    @cached_property
    def _evaluation(self) -> float:
        """The cost of a validation loss, in steps."""
        return self._steps_of(self._job.parts.validation)

    def _steps_of(self, docs: Sequence[Document]) -> float:
        """Return the cost of scoring held-out documents, in steps."""
        plan = self._job.plan
        return held_out_operations(docs, plan.model, plan.tokenizer, plan.config.text) / self._step

    @cached_property
    def _step(self) -> float:
        """The cost of a step, in operations."""
        chunks, plan = self._job.chunks, self._job.plan
        length = max(1.0, chunks.n_tokens / max(1, len(chunks)))
        return step_operations(plan.model, plan.config, length)

    def _budget(self) -> float:
        """Return the budget in steps; infinite if more steps would need more than time."""
        # Teachers would have to predict the targets of more steps, and given steps are enough.
        given = self._job.plan.given
        is_fixed = self._job.teachers or has_steps(given)
        budget: float = math.inf if is_fixed else given.get("budget", math.inf)
        return budget / self._step
