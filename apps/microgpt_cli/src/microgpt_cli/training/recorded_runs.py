"""Resume a training run: `microgpt train --resume`."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from microgpt import (
    ConfigError,
    Ending,
    Split,
    TeacherRecord,
    Teachers,
    TimeLimit,
    TrainConfig,
    TrainingDirectory,
    TrainingJob,
    TrainingPlan,
    TrainState,
    check_engine,
    check_patience,
    count,
    diverged,
    ending,
    engine_module,
    find_edited_sources,
    flag,
    path_from_text,
    read_ensemble,
    read_training,
    records_of,
    remove_teachers,
    reply_plugin,
    split_documents,
    teacher_paths,
    with_samples,
)
from microgpt_cli.model_loading import check_regular
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_MODEL_DIR
from microgpt_cli.training.inputs import load_teachers, read_input
from microgpt_cli.training.request import TrainRequest

CHANGES = ("steps", "until", "patience")  # settings with which a run can go on
MAY_DIFFER = {"engine", "minutes", "threads"}


def resumed_job(
    directory: TrainingDirectory, request: TrainRequest, started: float
) -> TrainingJob | None:
    """Return a resumed job after saving its changed settings, or None if the run has ended.

    A run with a time limit uses the remaining time, unless another limit or a number of steps is
    given.
    """
    plan, state, status = read_training(directory.path)
    ensemble = read_ensemble(directory.path) if plan.is_of_student else None
    if status == "diverged":
        raise diverged(directory.path, state.step)
    request.check_samples(is_chat=plan.tokenizer.is_chat)
    for name in plan.extra:
        reply_plugin(name)  # raises an error if it is not installed
    limit, given = None, request.given
    has_rest = not ("steps" in given or plan.is_of_student)
    if minutes := given.get("minutes") or (plan.given.get("minutes") if has_rest else None):
        limit = TimeLimit(minutes, started)
        limit.reserve_for(plan.model, is_chat=plan.tokenizer.is_chat)
        limit.extend(0.0 if "minutes" in given else -state.seconds)
    config = _changed_config(directory.path, plan, state, request)
    if limit and "minutes" in given and state.step and not plan.is_of_student:
        steps_per_s = state.step / state.seconds
        config = replace(config, steps=state.step + max(1, int(steps_per_s * limit.seconds_left())))
    config = replace(config, engine=given.get("engine") or plan.engine)
    check_engine(config.engine or "", plan.dtype, request.threads)
    reason = ending(state.step, state.best, config)
    if status == "ended" and (reason or (plan.is_of_student and not ensemble)):
        if request.input:
            recorded_documents(plan, request.input)  # refuses other documents
        _tell_end(
            directory.path, state.step, reason or "steps", replace(plan, config=config), request
        )
        return None
    if config.steps != plan.config.steps:
        change = f"the run ends at step {config.steps}, not {plan.config.steps}"
        note(f"{change}; its learning rate now falls to 0 by then")
    path, parts = recorded_documents(plan, request.input)
    if config.steps != plan.config.steps and state.step:
        plan = replace(plan, legs=(*plan.legs, (plan.config.steps, state.step)))
    recorded = {name: value for name, value in plan.given.items() if limit or name != "minutes"}
    if "minutes" in given:
        recorded["minutes"] = state.seconds / 60 + given["minutes"]
    plan = replace(plan, config=config, input=path, given=recorded)
    _note_computation(plan, state)
    job = TrainingJob(plan, parts, resume=state, limit=limit, ensemble=ensemble)
    return _with_recorded_teachers(job, directory, request)


def _changed_config(
    directory: Path, plan: TrainingPlan, state: TrainState, request: TrainRequest
) -> TrainConfig:
    """Return the settings of a run with the requested changes; refuse impossible changes."""
    recorded = {
        **plan.given,
        **vars(plan),
        **vars(plan.model),
        **vars(plan.config),
        **vars(plan.data),
        "chat": plan.tokenizer.is_chat,
        "tokenizer": plan.tokenizer.kind,
        "vocab_size": plan.given.get("vocab_size", plan.model.vocab_size),
    }
    if plan.is_of_student:
        recorded |= plan.given  # has the settings of the teachers
    changeable = () if plan.is_of_student else CHANGES
    if request.output not in (DEFAULT_MODEL_DIR, directory):
        raise ConfigError(
            f"--model is {request.output}, but the run to resume has {directory}; omit --model"
        )
    for name, value in request.given.items():
        known = recorded.get(name)
        if name not in MAY_DIFFER.union(changeable) and value != known:
            has = "none" if known is None else known
            what = f"{flag(name)} is {value}, but the run to resume has {has}"
            raise ConfigError(f"{what}; omit {flag(name)}")
    changes = {name: request.given[name] for name in changeable if name in request.given}
    config = replace(plan.config, **changes)
    if changes.keys() & {"steps"} or "minutes" in request.given:
        config = replace(config, until=changes.get("until"))
    check_patience(config.patience, plan.data.val_fraction)
    if state.step > config.steps:
        raise ConfigError(
            f"--steps is {config.steps}, but the training run in {directory} has "
            f"already completed {state.step} steps; --steps is the total number, such "
            f"as {state.step + config.steps}"
        )
    return config


def _tell_end(
    path: Path, step: int, reason: Ending, plan: TrainingPlan, request: TrainRequest
) -> None:
    """Print why a run has ended and how to continue it."""
    config = plan.config
    if reason != "until":
        remove_teachers(path)  # if the process was killed before it did
    if plan.is_of_student and reason != "until":
        why, more = "has ended", "continue the training of its model with --from"
    elif reason == "until":
        why = f"ended after step {step} of {config.steps}"
        more = (
            "pass --minutes" if plan.is_of_student else f"pass --steps {config.steps}, or --minutes"
        )
    elif reason == "patience":
        n, steps = config.patience or 0, config.steps
        why = f"stopped early after step {step}: {n} evaluations without improvement"
        more = f"pass for example --patience {2 * n} --steps {steps}"
    else:
        why, more = f"completed its {step} steps", "pass a larger total with --steps, or --minutes"
    note(f"the training run in {path} {why}; to continue it, {more}")
    if request.as_json:
        print(json.dumps({"steps": step, "ended": reason, "output": str(path)}))


def _note_computation(plan: TrainingPlan, state: TrainState) -> None:
    """Print a note if the steps so far were computed by other code or on another computer."""
    if plan.engine == "reference" and plan.edited_sources != (now := find_edited_sources()):
        names = " and ".join(dict.fromkeys([*plan.edited_sources, *now]))
        note(f"found edits in {names} since this run began; the result matches neither version")
    before = f"by the {state.engine} engine"
    if plan.engine == state.engine:
        rounding = engine_module(state.engine).ROUNDING if state.rounding else None
        if state.rounding == rounding:
            return
        before = f"with {state.rounding}, and this computer has {rounding}"
    note(
        f"the steps so far were computed {before}; the last digits of the result will match neither"
    )


def recorded_documents(plan: TrainingPlan, given: Path | None) -> tuple[Path, Split]:
    """Return the documents of a recorded run and their absolute path.

    Raise ConfigError if the given file has different documents.
    """
    if plan.input and not given:
        check_regular(plan.input, "pass the documents of this run with --data")
    path = given or plan.input
    file, docs = read_input(path, vars(plan.read_options))
    held_out = (plan.data.val_fraction, plan.data.test_fraction)
    parts = split_documents(docs, *held_out, plan.data.gap or 0)
    if parts.facts.sha256 != plan.data.sha256:
        raise ConfigError(
            f"{file.path} is not the input of the run: the sha256 of its "
            f"documents is {parts.facts.sha256[:12]}…, not {plan.data.sha256[:12]}…; pass the "
            "original file with --data, or train the model on another text with --from"
        )
    return file.path, parts


def _with_recorded_teachers(
    job: TrainingJob, directory: TrainingDirectory, request: TrainRequest
) -> TrainingJob:
    """Return a resumed job with its teachers or, before the first step, with its ensemble."""
    plan, ensemble, state, given = job.plan, job.ensemble, job.resume, request.teacher
    assert state
    if ensemble and not state.step:
        return replace(job, resume=None)
    if plan.is_of_student and not ensemble:
        raise ConfigError(
            f"the teachers of the run in {directory.path} are missing; train from scratch with "
            "--force"
        )
    if ensemble:
        given = given or teacher_paths(directory.path, ensemble)
    teachers, records = _recorded_teachers(plan, given)
    job = replace(job, plan=replace(plan, teachers=records), teachers=teachers)
    directory.keep(job.plan, state)
    return with_samples(job) if ensemble else job


def _recorded_teachers(
    plan: TrainingPlan, given: Sequence[Path] | None
) -> tuple[Teachers | None, tuple[TeacherRecord, ...]]:
    """Return the teachers of a recorded run, and their records with the current directories.

    Raises:
        CheckpointError: a teacher cannot be loaded.
        ConfigError: a teacher is missing, or a different model is in its directory.
    """
    recorded = plan.teachers
    directories = given or [path_from_text(each.directory) for each in recorded]
    remedy = "pass the teachers' directories with --teacher, in the original order"
    if len(directories) != len(recorded):
        remedy = remedy if recorded else "omit --teacher"
        raise ConfigError(
            f"the run has {count(len(recorded), 'teacher')}, not {len(directories)}; {remedy}"
        )
    for directory in directories:
        if not os.path.isdir(directory):
            raise ConfigError(f"the teacher {directory} does not exist; {remedy}")
    teachers = load_teachers(directories)
    records = records_of(teachers)
    for directory, found, expected in zip(directories, records, recorded, strict=True):
        sha256, wanted = found.weights_sha256, expected.weights_sha256
        if sha256 != wanted:
            raise ConfigError(
                f"the model in {directory} is not the teacher of the run: the sha256 of its "
                f"weights is {sha256[:12]}…, not {wanted[:12]}…; {remedy}"
            )
    return teachers, records
