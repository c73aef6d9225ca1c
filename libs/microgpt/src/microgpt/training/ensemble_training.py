"""Train the teachers of an ensemble one after the other, then their student.

The state of a run contains the weights of the teachers that have been trained, so a run can be
stopped and resumed at any point. With a time limit, fewer teachers are trained on a machine that
becomes slow; their number is recorded, so a resumed run is exact.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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
from microgpt.training.deadline import Deadline
from microgpt.training.distillation import Teachers
from microgpt.training.hooks import Hook, StopWhen
from microgpt.training.kept_weights import BestWeights
from microgpt.training.loop import Part, TrainingLoop
from microgpt.training.ngram_teacher import add_ngrams
from microgpt.training.planning import TrainingJob

TOLERANCE = 0.05  # of the time that is left; a teacher is omitted if it would take more


class _StoppedError(Exception):
    """The run was stopped while the teachers generated documents or predictions."""


def train_job(job: TrainingJob, *, threads: int = 1, hooks: Sequence[Hook] = ()) -> TrainResult:
    """Train the model of a job, or all models of its ensemble; see `train` for the arguments.

    With a time limit, the number of steps is corrected once, and the run ends in time. The events
    of an ensemble count the steps of all models. The result is the student, or the best teacher if
    the student has a higher held-out loss.
    """
    if not job.limit:
        return _train(job, threads, hooks)
    ensemble = job.plan.ensemble
    n_models = ensemble.n_teachers + _student_cost(job, ensemble) if ensemble else 1.0
    deadline = Deadline(job, None if job.resume else n_models)
    result = _train(job, threads, (*hooks, deadline))
    if deadline.steps is None:
        return result
    job = replace(job, plan=job.plan.with_steps(deadline.steps))
    return _train(job, threads, (*hooks, Deadline(job, None)))


def _train(job: TrainingJob, threads: int, hooks: Sequence[Hook]) -> TrainResult:
    if ensemble := job.plan.ensemble:
        return _EnsembleTraining(job, ensemble, threads, hooks).run()
    return TrainingLoop(job, threads, hooks).run()


def _steps_of(ensemble: Ensemble, models: Iterable[int]) -> int:
    """Return the number of steps of some models together."""
    return sum(ensemble.config_of(i).steps for i in models)


def _student_cost(job: TrainingJob, ensemble: Ensemble) -> float:
    """Return the time for the student and its targets, relative to that of one teacher."""
    teacher, student = ensemble.teacher, ensemble.student
    n_docs = len(job.parts.train) + ensemble.n_samples
    n_read = min(n_docs, student.steps * student.batch_size)
    predicted = ensemble.n_teachers * n_read / 3  # a prediction is a third of a training step
    return (student.steps + predicted / student.batch_size) / teacher.steps


@dataclass
class _EnsembleTraining:
    """A training run of an ensemble; see `train_job`."""

    job: TrainingJob
    ensemble: Ensemble
    threads: int
    hooks: Sequence[Hook]
    teachers: list[TrainedTeacher] = field(init=False)

    def __post_init__(self) -> None:
        resume = self.job.resume
        self.teachers = [*resume.teachers] if resume else []
        self._seconds = 0.0  # of the models that have been trained in this process
        self._last: TrainResult | None = None  # the last teacher that this process has trained
        self._left = limit.seconds_left() if (limit := self.job.limit) else 0.0

    def run(self) -> TrainResult:
        """Train the remaining models, and return the last one."""
        job, resume = self.job, self.job.resume
        while (k := len(self.teachers)) < self.ensemble.n_teachers:
            if not (resume and resume.step) and not self._has_time_for(k):
                resume = None  # the state before the first step of this teacher
                break
            reserved = self._duration() * _student_cost(job, self.ensemble) if k else 0.0
            result = self._train(job, resume, reserved)
            if result.ending == "stopped":
                return result
            if result.ending == "until":  # its time was over
                if not k:
                    return replace(result, plan=replace(result.plan, ensemble=None))
                resume = None
                break
            self._last = result
            loss, state = result.val_loss, result.state
            weights = state.final_weights(result.config.steps)
            self.teachers.append(TrainedTeacher(weights, loss))
            self._seconds, resume = state.seconds, None
        self.ensemble = replace(self.ensemble, n_teachers=len(self.teachers))
        return self._train_student(resume)

    def _train(
        self, job: TrainingJob, resume: TrainState | None, reserved: float = 0.0
    ) -> TrainResult:
        """Train the next model; the result has the state of the whole run.

        Args:
            reserved: seconds of the time limit that are kept for the student.
        """
        k, ensemble = len(self.teachers), self.ensemble
        part = Part(
            name=ensemble.name_of(k),
            teachers=tuple(self.teachers),
            steps_before=_steps_of(ensemble, range(k)),
            steps_after=_steps_of(ensemble, range(k + 1, ensemble.n_teachers + 1)),
            seconds=self._seconds,
        )
        parts = replace(job.parts, test=()) if k < ensemble.n_teachers else job.parts
        job = replace(job, plan=self._plan(), parts=parts, resume=resume)
        job.extend(-reserved)
        result = TrainingLoop(job, self.threads, self.hooks, part).run()
        job.extend(reserved)
        if k == ensemble.n_teachers:
            self.ensemble = replace(ensemble, student=result.config)
        return replace(result, plan=replace(result.plan, ensemble=self.ensemble))

    def _plan(self) -> TrainingPlan:
        """Return the plan of the next model."""
        return replace(self.job.plan, ensemble=self.ensemble).at(len(self.teachers))

    def _train_student(self, resume: TrainState | None) -> TrainResult:
        """Compute the predictions of the teachers, and train the student."""
        plan, parts = self._plan(), self.job.parts
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
            self.hooks = [*self.hooks, StopWhen(lambda: True)]
            return self._train(job, resume)
        return self._train(replace(job, teachers=teachers), resume)

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
        if not limit or not k:
            return True
        needed = self._duration() * (1 + _student_cost(self.job, self.ensemble))
        return needed <= (1 + TOLERANCE) * limit.seconds_left()

    def _duration(self) -> float:
        """Return the training time of a teacher in seconds, or 0 without a time limit."""
        limit, resume = self.job.limit, self.job.resume
        if not limit:
            return 0.0
        teacher, seconds, n_before = self.ensemble.teacher, 0.0, 0
        if resume:
            seconds, n_before = resume.seconds, resume.step + len(resume.teachers) * teacher.steps
        n_steps = max(1, n_before, len(self.teachers) * teacher.steps)
        return (seconds + self._left - limit.seconds_left()) * teacher.steps / n_steps

    def _show(self, work: Iterable[Any], n: int, what: str) -> Iterator[Any]:
        """Yield the results of the teachers, and report the progress; stop if requested."""
        before = _steps_of(self.ensemble, range(len(self.teachers)))
        steps, resume = before + self.ensemble.student.steps, self.job.resume
        seconds = self._seconds or (resume.seconds if resume else 0.0)
        for i, result in enumerate(work, start=1):
            yield result
            if any(hook.should_stop() for hook in self.hooks):
                raise _StoppedError
            shown = f"{i:,} of {n:,} {what}"
            for hook in self.hooks:
                hook.on_event(TrainEvent(before, steps, (), 0, 0, what=shown, seconds=seconds))
