"""Resume a training run: `microgpt train --resume`."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from microgpt import (
    ConfigError,
    Ending,
    ReadOptions,
    Split,
    TimeLimit,
    TrainConfig,
    TrainingDirectory,
    TrainingJob,
    TrainingPlan,
    TrainState,
    check_engine,
    count,
    ending,
    flag,
    open_ensemble,
    read_training,
    readable,
    records_of,
    remove_teachers,
    reply_plugin,
    running_time,
    split_documents,
    teacher_paths,
    with_samples,
)
from microgpt_cli.model_loading import check_regular
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_MODEL_DIR
from microgpt_cli.training.inputs import load_teachers, read_input
from microgpt_cli.training.train_request import TrainRequest

CHANGES = ("steps", "until")  # settings that a resumed run can change
MAY_DIFFER = ("engine", "minutes", "threads")  # options that every resumed run accepts


def resumed_job(
    directory: TrainingDirectory, request: TrainRequest, started: float
) -> TrainingJob | None:
    """Save the changed settings, and return the job to resume, or None if the run has ended."""
    plan, state, status = read_training(directory.path)
    ensemble, limit, given = open_ensemble(directory.path, plan, state), None, request.given
    for name in plan.extra:
        reply_plugin(name)  # raises an error if the plug-in is not installed
    n_steps = state.step  # number of steps so far; the teachers' steps are added below
    if plan.ensemble and not ensemble and given.keys() & {"steps", "minutes"}:
        note("its teachers are gone, so it learns from the text alone")
        n_steps += plan.ensemble.n_teachers * plan.ensemble.teacher.steps
        plan = replace(plan, ensemble=None, teachers=())
    if minutes := given.get("minutes"):
        limit = TimeLimit(minutes, started, clock=running_time)
        limit.reserve_for(plan.model, is_chat=plan.tokenizer.is_chat)
    config = _changed_config(directory.path, plan, state, request)
    if limit and state.step and not plan.ensemble:
        steps_per_s = n_steps / state.seconds
        config = replace(config, steps=state.step + max(1, int(steps_per_s * limit.seconds_left())))
    config = replace(config, engine=given.get("engine") or plan.engine)
    check_engine(config.engine or "", plan.dtype, given.get("threads", 1))
    if given.keys() & {"steps", "minutes"} and state.best:  # --patience counts from 0 again
        state = replace(state, best=replace(state.best, n_worse=0))
    reason = ending(state.step, state.best, config)
    if status == "ended" and (reason or (plan.ensemble and not ensemble)):
        if request.input:
            recorded_documents(plan, request.input)  # raises an error if the documents differ
        _tell_end(directory.path, state.step, reason or "steps", config.steps, request)
        return None
    if config.steps != plan.config.steps:
        change = f"the run ends at step {config.steps}, not {plan.config.steps}"
        note(f"{change}; its learning rate now decays to 0 by then")
    path, sets = recorded_documents(plan, request.input)
    recorded = {"minutes": state.seconds / 60 + minutes} if minutes else {}
    if budget := plan.given.get("budget"):
        recorded["budget"] = config.steps / plan.config.steps * budget
    plan = replace(plan, config=config, input=path, given={**plan.given, **recorded})
    sets = readable(sets, plan.given.get("budget"))
    job = TrainingJob(plan, sets, resume=state, limit=limit)
    return _with_recorded_teachers(job, directory, request.teacher)


def _changed_config(
    directory: Path, plan: TrainingPlan, state: TrainState, request: TrainRequest
) -> TrainConfig:
    """Return a run's settings with the requested changes; raise ConfigError for a fixed setting."""
    changeable = () if plan.ensemble else CHANGES
    other = [flag(name) for name in request.given if name not in (*MAY_DIFFER, *changeable)]
    if request.output not in (DEFAULT_MODEL_DIR, directory):
        other.append("--model")
    if other:
        raise ConfigError(
            f"{other[0]} cannot be used with --resume, which keeps the settings; omit {other[0]}"
        )
    changes = {name: request.given[name] for name in changeable if name in request.given}
    config = replace(plan.config, **changes)
    if changes.keys() & {"steps"} or "minutes" in request.given:
        config = replace(config, until=changes.get("until"))
    if state.step > config.steps:
        raise ConfigError(
            f"--steps is {config.steps}, but the training run in {directory} has "
            f"already completed {state.step} steps; --steps is the total number, such "
            f"as {state.step + config.steps}"
        )
    return config


def _tell_end(path: Path, step: int, reason: Ending, steps: int, request: TrainRequest) -> None:
    """Print that a run has ended and how to continue it."""
    if reason != "until":
        remove_teachers(path)  # a process that was killed could not remove them
    more = "a larger --steps" if reason == "steps" else f"--steps {steps}"
    where = f"the training run in {path} ended after step {step} of {steps} ({reason})"
    note(f"{where}; to continue it, pass {more}, or --minutes")
    if request.as_json:
        print(json.dumps({"steps": step, "ended": reason, "output": str(path)}))


def recorded_documents(plan: TrainingPlan, given: Path | None) -> tuple[Path, Split]:
    """Return the absolute path of a recorded run's data, and its documents, split as recorded.

    Raise ConfigError if the data has changed, or if the given file has different documents.
    """
    if plan.input and not given:
        check_regular(plan.input, "pass its documents with --data")
    path = given or plan.input
    recorded = ReadOptions.from_settings({**plan.given, "chat": plan.tokenizer.is_chat})
    file, docs = read_input(path, vars(recorded), plan.config.text)
    held_out = (plan.data.val_fraction, plan.data.test_fraction)
    sets = split_documents(docs, *held_out, plan.data.gap or 0)
    if sets.facts.sha256 != plan.data.sha256:
        raise ConfigError(
            f"{file.path} is not the input of the run: its documents differ; pass the original "
            "file with --data, or train on another text with --from"
        )
    return file.path, sets


def _with_recorded_teachers(
    job: TrainingJob, directory: TrainingDirectory, given: Sequence[Path] | None
) -> TrainingJob:
    """Return a resumed job with its recorded teachers; raise ConfigError if they are not found."""
    plan, state = job.plan, job.resume
    assert state
    ensemble = open_ensemble(directory.path, plan, state)
    if ensemble and not state.step:
        return replace(job, resume=None)
    paths = given or [Path(each.directory) for each in plan.teachers]
    if ensemble and not given:
        paths = teacher_paths(directory.path, ensemble)  # as recorded paths can be outdated
    teachers = load_teachers(paths) if all(map(os.path.isdir, paths)) else None
    records = records_of(teachers)
    found, wanted = ([each.weights_sha256 for each in some] for some in (records, plan.teachers))
    if found != wanted:
        remedy = "pass their directories with --teacher, in the original order"
        raise ConfigError(
            f"{', '.join(map(str, paths))}: not the {count(len(wanted), 'teacher')} of the "
            f"run; {remedy if wanted else 'omit --teacher'}"
        )
    job = replace(job, plan=replace(plan, teachers=records), teachers=teachers)
    directory.keep(job.plan, state)
    return with_samples(job) if ensemble else job
