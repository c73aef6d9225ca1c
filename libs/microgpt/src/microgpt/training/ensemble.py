"""Train the teachers of an ensemble, each in a directory of its own, and prepare their student.

The teachers are stored in MODEL/.teachers/1, 2, … until the student, in MODEL, is complete. If the
run is resumed before the student's first step, it continues with the teachers.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from microgpt.data.contamination import contamination
from microgpt.early_stopping import BestWeights, ending
from microgpt.errors import ConfigError
from microgpt.files import recorded_path
from microgpt.settings import RECORDED
from microgpt.storage.checkpoint import TrainingDirectory, has_state, read_training
from microgpt.storage.model_directory import load
from microgpt.storage.model_metadata import SavedModel
from microgpt.training.distillation import Teachers, add_ngrams
from microgpt.training.fine_tuning import data_of
from microgpt.training.loop import TrainingLoop
from microgpt.training.planning import Place, TrainingJob
from microgpt.training_state import Ensemble, TeacherRecord, TrainingPlan, TrainResult, TrainState

TEACHERS = ".teachers"
TOLERANCE = 0.05  # omit a teacher that would exceed the remaining time by more than this fraction


def open_ensemble(directory: Path, plan: TrainingPlan, state: TrainState) -> Ensemble | None:
    """Return the ensemble of a student that is not complete; None for any other model."""
    return plan.ensemble if not state.step or (directory / TEACHERS).is_dir() else None


def remove_teachers(directory: Path) -> None:
    """Remove the teachers in a locked directory, if there are any."""
    shutil.rmtree(directory / TEACHERS, ignore_errors=True)


def teacher_paths(directory: Path, ensemble: Ensemble) -> list[Path]:
    """Return the directory of each teacher of an ensemble."""
    return [directory / TEACHERS / str(i + 1) for i in range(ensemble.n_teachers)]


def with_teachers(
    job: TrainingJob,
    directory: TrainingDirectory,
    train: Callable[[TrainingJob, TrainingDirectory], TrainResult],
    *,
    threads: int = 1,
    show: Callable[..., Iterable[Any]] = lambda work, n, what: work,
) -> TrainingJob:
    """Train those teachers of a job that are not complete, and return the job of their student.

    With a time limit, the first teacher's speed corrects the number of steps of all models, and
    teachers for which there is no time are omitted. `train` trains and saves a teacher.
    """
    path, states = directory.path, list[TrainState]()
    first = TrainingLoop(job, threads).state()
    directory.has_own_state = True  # allows this state to replace that of a finished model
    directory.keep(job.plan, first)
    for i, each in enumerate(teacher_paths(path, _ensemble(job))):
        with TrainingDirectory(each) as teacher_directory:
            state, is_trained = None, False
            if has_state(each):
                plan, state, status = read_training(each)
                job = job if i else job.with_steps(plan.config.steps)
                config = _ensemble(job).config_of(i)
                is_trained = status == "ended" and bool(ending(state.step, state.best, config))
            if not is_trained:
                seconds = fmean(each.seconds for each in states) if states else 0.0
                reserved = seconds * _student_cost(job)
                if job.limit and seconds + reserved > (1 + TOLERANCE) * job.limit.seconds_left():
                    break
                job.extend(-reserved)
                result = train(_teacher(job, i, state), teacher_directory)
                job.extend(reserved)
                if result.ending == "until":  # the time limit was reached
                    break
                job = job if i else job.with_steps(result.config.steps)
                state = result.state
        assert state
        states.append(state)
    if not states:
        raise ConfigError(
            f"the time was up before the first teacher was trained; continue with --resume {path}"
        )
    ensemble = replace(_ensemble(job), n_teachers=len(states))
    job = replace(job, plan=replace(job.plan, ensemble=ensemble))
    directory.keep(job.plan, first)  # records the teachers, in case the run is resumed
    paths = teacher_paths(path, ensemble)
    teachers = Teachers([*map(load, paths)], names=[*map(str, paths)], show=show)
    return _student(job, teachers, states, threads)


def with_samples(job: TrainingJob) -> TrainingJob:
    """Return the student's job with teachers that also generate `ensemble.n_samples` documents."""
    ensemble, teachers, chunks = _ensemble(job), job.teachers, job.chunks
    assert teachers
    teachers.n_samples = ensemble.n_samples
    add_ngrams(teachers, chunks, replace(chunks, docs=job.sets.validation))
    return replace(job, place=Place("the student", ensemble.n_teachers * ensemble.teacher.steps))


def records_of(teachers: Teachers | None) -> tuple[TeacherRecord, ...]:
    """Return the records of those teachers that were loaded from directories."""
    return tuple(
        TeacherRecord(recorded_path(name), each.sha256)
        for name, each in (zip(teachers.names, teachers.models, strict=True) if teachers else ())
        if isinstance(each, SavedModel)
    )


def _ensemble(job: TrainingJob) -> Ensemble:
    assert job.plan.ensemble
    return job.plan.ensemble


def _teacher(job: TrainingJob, i: int, resume: TrainState | None) -> TrainingJob:
    """Return the job of teacher i, counted from 0; `resume` is its checkpoint, if it has one."""
    ensemble, plan = _ensemble(job), job.plan
    n, steps = ensemble.n_teachers, ensemble.teacher.steps
    place = Place(
        f"teacher {i + 1} of {n}",
        steps_before=i * steps,
        steps_after=(n - i - 1) * steps + plan.config.steps,
        cost_ratio=0 if i else n + _student_cost(job),
    )
    config = replace(ensemble.config_of(i), engine=plan.engine)  # resuming can change the engine
    given = {name: plan.given[name] for name in RECORDED if name in plan.given}
    plan = replace(plan, config=config, given=given, ensemble=None)
    sets = replace(job.sets, test=())
    return TrainingJob(plan, sets, resume=resume, limit=job.limit, place=place)


def _student(
    job: TrainingJob, teachers: Teachers, states: Sequence[TrainState], threads: int
) -> TrainingJob:
    """Compute the student's targets, and return its job, ready for the first step."""
    plan = job.plan
    read = data_of([teachers])
    plan = replace(
        plan,
        teachers=records_of(teachers),
        ancestor_data=read,
        contamination=contamination(job.sets, read, plan.config.text),
    )
    job = with_samples(replace(job, plan=plan, teachers=teachers))
    first = TrainingLoop(job, threads).state()
    found = [state.best for state in states if state.best]
    best = min(found, key=lambda one: one.val_loss, default=None)  # the best teacher's weights
    best = best and BestWeights(0, best.val_loss, best.weights, measured_at=0, n_worse=0)
    seconds = first.seconds + sum(state.seconds for state in states)
    return replace(job, resume=replace(first, best=best, seconds=seconds))


def _student_cost(job: TrainingJob) -> float:
    """Return the time for the student and its targets, relative to that of one teacher."""
    ensemble, student = _ensemble(job), job.plan.config
    n_read = min(len(job.chunks) + ensemble.n_samples, student.steps * student.batch_size)
    predicted = ensemble.n_teachers * n_read / 3  # a prediction costs a third of a training step
    return (student.steps + predicted / student.batch_size) / ensemble.teacher.steps
