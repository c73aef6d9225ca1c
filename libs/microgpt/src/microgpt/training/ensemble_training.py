"""Train the teachers of an ensemble one after the other, then their student.

The state of a run contains the weights of the teachers that have been trained, so a run can be
stopped and resumed at any point. With a time limit, fewer teachers are trained on a slow machine;
the numbers of teachers and of steps are recorded, so a resumed run is exact.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from microgpt.flat_weights import by_name
from microgpt.state import (
    Ensemble,
    TrainedModel,
    TrainedTeacher,
    TrainEvent,
    TrainingPlan,
    TrainResult,
    TrainState,
)
from microgpt.training.deadline import train_as_planned
from microgpt.training.distillation import Teachers
from microgpt.training.kept_weights import BestWeights
from microgpt.training.ngram_teacher import add_ngrams
from microgpt.training.planning import TrainingJob
from microgpt.training.time_limit import TimeLimit

FEWEST = 2  # number of teachers that are trained in any case
MEASURED = 0.5  # minimum share of a teacher's steps from which its time is known
TOLERANCE = 0.05  # of the time that is left; a teacher is omitted if it would take more


class _StoppedError(Exception):
    """The run was stopped while the teachers generated documents or predictions."""


def train_job(
    job: TrainingJob,
    *,
    threads: int = 1,
    on_event: Callable[[TrainEvent], None] = lambda event: None,
    on_state: Callable[[TrainingPlan, TrainState], None] = lambda plan, state: None,
    state_every: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Train the model of a job, or all models of its ensemble; see `train_as_planned`.

    The events of an ensemble count the steps of all models. The result is the student, or the
    best teacher if the student has a higher held-out loss.
    """
    train = partial(train_as_planned, threads=threads, state_every=state_every)
    ensemble = job.plan.ensemble
    if not ensemble:
        return train(job, on_event=on_event, on_state=on_state, should_stop=should_stop)
    return _EnsembleTraining(job, ensemble, threads, train, on_event, on_state, should_stop).run()


def steps_before(plan: TrainingPlan, state: TrainState | None) -> int:
    """Return the number of completed steps of all models together."""
    if not state:
        return 0
    taught = range(len(state.teachers))
    return state.step + (_steps_of(plan.ensemble, taught) if plan.ensemble else 0)


def total_steps(plan: TrainingPlan, state: TrainState | None) -> int:
    """Return the total number of steps of all models of a run."""
    ensemble = plan.ensemble
    if not ensemble:
        return plan.config.steps
    k = len(state.teachers) if state else 0
    return plan.config.steps + _steps_of(ensemble, {*range(ensemble.n_teachers + 1)} - {k})


def _steps_of(ensemble: Ensemble, models: Iterable[int]) -> int:
    """Return the number of steps of some models together, after the known changes."""
    changes = {i: ensemble.changes_of(i) for i in models}
    return sum(c[-1].after if c else ensemble.config_of(i).steps for i, c in changes.items())


@dataclass
class _EnsembleTraining:
    """A training run of an ensemble; see `train_job`."""

    job: TrainingJob
    ensemble: Ensemble
    threads: int
    train: Callable[..., TrainResult]  # `train_as_planned` with its other arguments
    on_event: Callable[[TrainEvent], None]
    on_state: Callable[[TrainingPlan, TrainState], None]
    should_stop: Callable[[], bool]
    teachers: list[TrainedTeacher] = field(init=False)

    def __post_init__(self) -> None:
        resume = self.job.resume
        self.teachers = [*resume.teachers] if resume else []
        self._seconds = 0.0  # of the models that have been trained in this process
        self._last: TrainResult | None = None  # the last teacher that this process has trained
        self._durations: list[float] = []  # of the teachers, by the clock of the time limit

    def run(self) -> TrainResult:
        """Train the remaining models, and return the last one."""
        job, resume = self.job, self.job.resume
        while (k := len(self.teachers)) < self.ensemble.n_teachers:
            limit, has_begun = job.limit, resume is not None and resume.step > 0
            if not has_begun and not self._has_time_for(k):
                resume = None  # the state before the first step of this teacher
                break
            started, first_step = limit.clock() if limit else 0.0, resume.step if resume else 0
            # This leaves time for the other teachers and the student.
            own = self._limit(1 / (max(1, FEWEST - k) + self._student_cost()))
            result = self._train(replace(job, limit=own), resume)
            if result.ending == "stopped":
                return result
            self._last = result
            if limit and (share := 1 - first_step / result.config.steps) > MEASURED:
                self._durations.append((limit.clock() - started) / share)
            loss, state = result.val_loss, result.state
            weights = state.final_weights(result.config.steps)
            self.teachers.append(TrainedTeacher(weights, loss))
            self._seconds, resume = state.seconds, None
        self.ensemble = replace(self.ensemble, n_teachers=len(self.teachers))
        return self._train_student(resume)

    def _train(
        self,
        job: TrainingJob,
        resume: TrainState | None,
        should_stop: Callable[[], bool] | None = None,
    ) -> TrainResult:
        """Train the next model; the result has the state of the whole run."""
        k, before, earlier = len(self.teachers), self._steps_before(), self._seconds
        taught = tuple(self.teachers)
        later = _steps_of(self.ensemble, range(k + 1, self.ensemble.n_teachers + 1))

        def whole(state: TrainState) -> TrainState:
            return replace(state, teachers=taught, seconds=earlier + state.seconds)

        def follow(event: TrainEvent) -> None:
            step, steps = before + event.step, before + event.steps + later
            self.on_event(replace(event, step=step, steps=steps, what=self.ensemble.name_of(k)))

        parts = replace(job.parts, test=()) if k < self.ensemble.n_teachers else job.parts
        result = self.train(
            replace(job, plan=self._plan(resume), parts=parts, resume=resume),
            on_event=follow,
            on_state=lambda plan, state: self.on_state(plan, whole(state)),
            should_stop=should_stop or self.should_stop,
        )
        if changes := result.plan.steps_changed:
            self.ensemble = self.ensemble.with_changes(k, changes)
        plan = replace(result.plan, ensemble=self.ensemble)
        return replace(result, plan=plan, state=whole(result.state))

    def _plan(self, resume: TrainState | None) -> TrainingPlan:
        """Return the plan of the next model."""
        plan = replace(self.job.plan, ensemble=self.ensemble)
        return plan if resume else plan.at(len(self.teachers))

    def _train_student(self, resume: TrainState | None) -> TrainResult:
        """Compute the predictions of the teachers, and train the student."""
        plan, parts = self._plan(resume), self.job.parts
        models = [
            TrainedModel(plan.model, weights, plan.tokenizer, plan.dtype)
            for each in self.teachers
            for weights in [by_name(plan.model, each.weights.tolist())]
        ]
        teachers = Teachers(models, self.ensemble.n_samples, show=self._show)
        job = replace(self.job, best=self._best_teacher())
        chunks = parts.chunked(plan.tokenizer, plan.model.block_size, plan.config)
        weight = self.ensemble.ngram_weight
        add_ngrams(teachers, chunks, replace(chunks, docs=parts.validation), weight)
        self.ensemble = replace(self.ensemble, ngram_weight=teachers.ngram_weight)
        try:
            teachers.dataset(chunks, plan, random.Random(plan.config.seed), self.threads)
        except _StoppedError:
            if self._last:  # its last state leads here again
                plan = replace(self._last.plan, ensemble=self.ensemble)
                return replace(self._last, plan=plan, ending="stopped")
            return self._train(job, resume, should_stop=lambda: True)
        job = replace(job, teachers=teachers, limit=self._limit(1.0))
        return self._train(job, resume)

    def _best_teacher(self) -> BestWeights | None:
        """Return the weights of the best teacher, with which the student is compared."""
        best = None
        for each in self.teachers:
            if each.val_loss is not None and (not best or each.val_loss < best.val_loss):
                best = BestWeights(0, each.val_loss, each.weights, measured_at=0, n_worse=0)
        return best

    def _has_time_for(self, k: int) -> bool:
        """Return whether there is time to train teacher k and the student."""
        limit = self.job.limit
        if not limit or k < FEWEST:
            return True
        durations = self._durations or [self._duration_before()]
        per_teacher = sum(durations) / len(durations)
        needed = per_teacher * (1 + self._student_cost())
        return needed <= (1 + TOLERANCE) * limit.seconds_left()

    def _duration_before(self) -> float:
        """Return the training time of a teacher before the run was resumed, in seconds."""
        resume = self.job.resume
        assert resume
        n_steps = self._steps_before() + (0 if self._seconds else resume.step)
        return (self._seconds or resume.seconds) * self.ensemble.teacher.steps / max(1, n_steps)

    def _student_cost(self) -> float:
        """Return the time for the student and its targets, relative to that of one teacher."""
        ensemble = self.ensemble
        teacher, student = ensemble.teacher, ensemble.student
        n_docs = len(self.job.parts.train) + ensemble.n_samples
        n_read = min(n_docs, student.steps * student.batch_size)
        predicted = ensemble.n_teachers * n_read / 3  # a prediction is a third of a training step
        return (student.steps + predicted / student.batch_size) / teacher.steps

    def _limit(self, share: float) -> TimeLimit | None:
        """Return a time limit that is the given share of the remaining time."""
        limit = self.job.limit
        if not limit:
            return None
        seconds = max(1.0, share * limit.seconds_left())
        return TimeLimit(seconds / 60, limit.clock(), reserve_s=0.0, clock=limit.clock)

    def _steps_before(self) -> int:
        return _steps_of(self.ensemble, range(len(self.teachers)))

    def _show(self, work: Iterable[Any], n: int, what: str) -> Iterator[Any]:
        """Yield the results of the teachers, and report the progress; stop if requested."""
        before = self._steps_before()
        steps = before + self.ensemble.student.steps
        for i, result in enumerate(work, start=1):
            yield result
            if self.should_stop():
                raise _StoppedError
            self.on_event(TrainEvent(before, steps, (), 0, 0, what=f"{i:,} of {n:,} {what}"))
