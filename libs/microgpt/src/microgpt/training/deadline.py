"""Train to a deadline: if a run would end late, shorten the rest of its schedule.

Each change in the number of steps is recorded, so that a resumed run takes the same steps.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from time import perf_counter

from microgpt.config import TrainConfig
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document
from microgpt.state import StepsChange, TrainEvent, TrainingPlan, TrainResult, TrainState
from microgpt.training.loop import DivergedError, TrainingLoop
from microgpt.training.operations import evaluation_operations, step_operations
from microgpt.training.planning import TrainingJob
from microgpt.training.time_limit import TimeLimit

# A run may end later by TOLERANCE of its time. As long as much of it is left, it may be expected
# to end later by up to EARLY more, since the speed may recover, and a change cannot be undone.
TOLERANCE, EARLY = 0.03, 0.05
SHORTEST = 0.02  # minimum fraction of the time for the steps after a change, which anneal the rate
WARM_UP_S = 1.0  # the first steps are slower, because caches are cold
# Fraction of the time of the run that a measurement of the speed takes, and its minimum in seconds.
MEASURED, MEASURED_S = 0.05, 1.0
# It has parts of equal length. The median of their speeds counts, at least of three: a pause, which
# makes one part longer, does not change it.
PARTS, FEWEST = 5, 3


def train_as_planned(
    job: TrainingJob,
    *,
    threads: int = 1,
    on_event: Callable[[TrainEvent], None] = lambda event: None,
    on_state: Callable[[TrainingPlan, TrainState], None] = lambda plan, state: None,
    state_every: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Train with the settings of a job, and return the result with the plan that was followed.

    The number of steps changes as recorded in `plan.steps_changed`. With a time limit, it is also
    reduced whenever the run would otherwise end too late. See `train` for the other arguments.

    Args:
        on_state: called with the current plan and a checkpoint.
    """
    plan, resume, losses = job.plan, job.resume, list[float]()
    while True:
        change = next_change(plan, resume.step if resume else 0)
        pace = _Pace(job.parts, plan, job.limit) if job.limit else None
        is_interrupted = False

        def stop(pace: _Pace | None = pace) -> bool:
            nonlocal is_interrupted
            is_interrupted = is_interrupted or should_stop()
            return is_interrupted or (pace is not None and pace.is_late)

        def follow(event: TrainEvent, pace: _Pace | None = pace) -> None:
            on_event(event)
            if pace:
                pace.add(event)

        try:
            loop = TrainingLoop(
                replace(job, plan=plan, resume=resume),
                threads=threads,
                until=change.step if change else None,
                started=perf_counter(),
                on_event=follow,
                on_state=partial(on_state, plan),
                state_every=state_every,
                should_stop=stop,
            )
            result = loop.run()
        except DivergedError as error:
            error.result = replace(error.result, losses=[*losses, *error.result.losses])
            raise
        losses += result.losses
        resume = result.state
        is_change = change is not None and resume.step == change.step
        if is_interrupted or (result.ending != "stopped" and not is_change):
            return replace(result, losses=losses)
        if state_every is None:  # each loop waits for a few seconds before it saves
            on_state(plan, resume)
        if change and is_change:
            plan = replace(plan, config=replace(plan.config, steps=change.after))
        elif pace:
            plan = plan_with_steps(plan, resume.step, pace.steps_in_time())


def next_change(plan: TrainingPlan, step: int) -> StepsChange | None:
    """Return the first change in the number of steps that a run has not made yet, if any."""
    steps = plan.config.steps
    later = (
        change
        for change in plan.steps_changed
        if change.step > step or (change.step == step and change.before == steps)
    )
    return next(later, None)


def plan_with_steps(plan: TrainingPlan, step: int, steps: int) -> TrainingPlan:
    """Return the plan with a new total number of steps and a record of the change at `step`."""
    made = [change for change in plan.steps_changed if change.step < step]
    first = next((change for change in plan.steps_changed if change.step == step), None)
    before = first.before if first else plan.config.steps
    if step and steps != before:  # before the first step, there is nothing to repeat
        made.append(StepsChange(step, before, steps))
    config = replace(plan.config, steps=steps)
    return replace(plan, config=config, steps_changed=tuple(made))


class _Pace:
    """The speed of a run in operations per second, and whether the run would end too late."""

    def __init__(self, parts: Split, plan: TrainingPlan, limit: TimeLimit) -> None:
        self._limit, self._config = limit, plan.config
        chunks = parts.chunked(plan.tokenizer, plan.model.block_size, plan.config)
        length = chunks.mean_length

        def evaluation(docs: Sequence[Document]) -> float:
            """Return the number of operations of an evaluation of held-out documents."""
            if not docs:
                return 0.0
            read = replace(chunks, docs=docs).n_tokens
            n_times = 2 if plan.config.text == "stream" else 1  # scored with half a context before
            return evaluation_operations(plan.model, length, n_times * read)

        self._per_step = step_operations(plan.model, plan.config, length)
        self._per_evaluation, self._test = evaluation(parts.validation), evaluation(parts.test)
        self._measured_s = max(MEASURED_S, MEASURED * limit.seconds)
        self._created, self._first_event = limit.clock(), 0.0
        self._part: tuple[float, float] | None = None  # time and operations at the start of a part
        self._rates: list[float] = []  # of the parts since the warm-up
        self._step, self._rate = 0, 0.0
        self.is_late = False

    def add(self, event: TrainEvent) -> None:
        """Measure the speed after an event, and decide whether the run would end too late."""
        self._step = event.step
        now, done = self._limit.clock(), self._operations(event.step, self._config)
        self._first_event = self._first_event or now
        if now < self._first_event + WARM_UP_S:
            return
        self._part = self._part or (now, done)
        then, done_then = self._part
        if now < then + self._measured_s / PARTS:
            return
        self._part = now, done
        self._rates.append((done - done_then) / (now - then))
        is_measured = now >= self._first_event + WARM_UP_S + self._measured_s
        if not is_measured or len(self._rates) < FEWEST or event.step >= event.steps:
            return
        usual, recent = median(self._rates), median(self._rates[-FEWEST:])
        limit, left = self._limit, self._operations_left(event.steps)
        tolerance = TOLERANCE + EARLY * left / self._operations(event.steps, self._config)
        is_late = now + left / usual > limit.end + tolerance * limit.seconds
        # A slower machine may recover; if not, the run is shortened again, while there is time.
        is_last_chance = limit.end - now < 2 * (WARM_UP_S + self._measured_s)
        self._rate = min(usual, recent) if is_last_chance else usual
        self.is_late = is_late and left / self._rate > SHORTEST * limit.seconds

    def steps_in_time(self) -> int:
        """Return the largest number of steps that can end in time at the current speed."""
        limit = self._limit
        setup_s = self._first_event - self._created  # the documents are encoded again
        time_left = max(limit.seconds_left() - setup_s, SHORTEST * limit.seconds)
        fewer = range(self._step + 1, self._config.steps)
        n = bisect_right(fewer, time_left * self._rate, key=self._operations_left)
        return self._step + max(1, n)

    def _operations_left(self, steps: int) -> float:
        """Return the remaining operations if the run has this number of steps."""
        config = replace(self._config, steps=steps)
        return self._operations(steps, config) - self._operations(self._step, config)

    def _operations(self, step: int, config: TrainConfig) -> float:
        """Return the number of operations of a run's first steps and the evaluations after them."""
        n_evaluations, rest = divmod(step, config.steps_between_evaluations)
        is_last = step >= config.steps
        n_evaluations += is_last and rest > 0
        spent = step * self._per_step + n_evaluations * self._per_evaluation
        return spent + is_last * self._test
