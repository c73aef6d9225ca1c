"""Resume an unfinished training run: `microgpt train --resume`."""

import json
import os
from dataclasses import replace
from pathlib import Path

from microgpt.config import TrainConfig
from microgpt.data.documents import load_documents
from microgpt.data.split import Split
from microgpt.errors import CheckpointError, ConfigError
from microgpt.files.atomic_files import as_argument
from microgpt.state import TrainingPlan
from microgpt.storage.training_directory import TrainingDirectory, read_training
from microgpt.training.deadline import with_steps
from microgpt.training.early_stopping import Ending, ending
from microgpt.training.holding_out import split_documents
from microgpt.training.options import TrainOptions
from microgpt.training.planning import TrainingJob, check_patience
from microgpt.training.time_limit import TimeLimit
from microgpt_cli.charts import draw_training
from microgpt_cli.input_files import check_regular
from microgpt_cli.terminal.console import note
from microgpt_cli.training.job import drawn
from microgpt_cli.training.teachers import recorded_teachers

MAY_CHANGE = {"resume", "input", "teacher", "steps", "patience", "format"}  # and what is harmless


def refuse_unfinished(directory: TrainingDirectory) -> None:
    """Raise CheckpointError if a directory contains an unfinished training run."""
    if not directory.has_state:
        return
    plan, state, status = read_training(directory.path)
    if status == "running":
        raise CheckpointError(
            f"the training run in {directory.path} is unfinished (step {state.step} of "
            f"{plan.config.steps}); resume it with --resume {as_argument(directory.path)}, or "
            "replace it with --force"
        )


def resumed_job(
    directory: TrainingDirectory, given: TrainOptions, started: float
) -> TrainingJob | None:
    """Return a resumed job after saving its changed settings, or None if the run has ended.

    A run with a time limit uses what remains of it, unless the number of steps is changed.
    """
    plan, state, status = read_training(directory.path)
    if status == "diverged":
        raise ConfigError(
            f"the training run in {directory.path} diverged after step {state.step} (the last good "
            f"weights are in {directory.path}.diverged); train from scratch with a smaller "
            "--learning-rate"
        )
    _check_options(directory.path, plan, given)
    config = given.only("steps", "patience").applied_to(plan.config)
    check_patience(config.patience, plan.data.val_fraction)
    if state.step > config.steps:
        raise ConfigError(
            f"--steps is {config.steps}, but the training run in {directory.path} has done "
            f"{state.step} steps; --steps is the total number, such as {state.step + config.steps}"
        )
    reason = ending(state.step, state.best, config)
    if status == "ended" and reason:
        if "input" in given:
            recorded_documents(plan, given)  # refuses other documents
        _tell_end(directory.path, state.step, reason, config, given)
        return None
    if config.steps < plan.config.steps:
        note(
            f"the run ends at step {config.steps}, not {plan.config.steps}; its learning rate "
            "now falls to 0 by then"
        )
    path, parts = recorded_documents(plan, given)
    plan, teachers = recorded_teachers(plan, given.teacher)
    limit = None
    if config.steps != plan.config.steps:
        plan = replace(with_steps(plan, state.step, config.steps), minutes=None)
    elif plan.minutes:
        limit = TimeLimit.of(plan.minutes, started, has_plot=given.plot)
        limit.reserve_for(plan.model, is_chat=plan.tokenizer.is_chat)
        limit.extend(-state.seconds)
    plan = replace(
        plan, config=config, input=path, weights_format=given.format or plan.weights_format
    )
    directory.keep(plan, state)
    return TrainingJob(plan, parts, teachers=teachers, resume=state, limit=limit)


def _tell_end(
    path: Path, step: int, reason: Ending, config: TrainConfig, given: TrainOptions
) -> None:
    """Print why a run has ended and how to continue it; draw its losses with --plot."""
    if reason == "patience":
        n, steps = config.patience or 0, config.steps
        why = f"stopped early after step {step}: {n} evaluations without improvement"
        more = f"pass for example --patience {2 * n} --steps {steps}"
    else:
        why, more = f"completed its {step} steps", "pass a larger total with --steps"
    note(f"the training run in {path} {why}; to continue it, {more}")
    if given.plot:
        draw_training(path)
    if given.as_json:
        print(json.dumps({"steps": step, "ended": reason, "output": str(path)}))


def recorded_documents(plan: TrainingPlan, given: TrainOptions) -> tuple[Path | None, Split]:
    """Return the documents of a recorded run and their absolute path, if they come from a file.

    Raises:
        ConfigError: they are not the documents of the run.
    """
    path = given.input or plan.input
    if path and "input" not in given:
        check_regular(path, "pass the documents of this run with --data")
    if path:
        chat = plan.tokenizer.is_chat
        text, column = plan.config.text, plan.column
        docs = load_documents(path, text=text, column=column, chat=chat, check=False, tell=note)
    else:
        docs = drawn(plan.preset, plan.config.seed)
    held_out = (plan.data.val_fraction, plan.data.test_fraction)
    parts = split_documents(docs, *held_out, plan.data.holdout or "tail", plan.data.gap)
    if parts.facts.sha256 != plan.data.sha256:
        raise ConfigError(
            f"{path or 'the preset'} is not the input of the run: the sha256 of its "
            f"documents is {parts.facts.sha256[:12]}…, not {plan.data.sha256[:12]}…; pass the "
            "original file with --data, or train the model on another text with --from"
        )
    return Path(os.path.abspath(path)) if path else None, parts


def _check_options(directory: Path, plan: TrainingPlan, given: TrainOptions) -> None:
    recorded = {**vars(plan), **vars(plan.model), **vars(plan.config), **vars(plan.data)}
    recorded |= {
        "holdout": plan.data.holdout or "tail",
        "chat": plan.tokenizer.is_chat,
        "tokenizer": plan.tokenizer.kind,
        "vocab_size": plan.vocab_size_wanted or plan.model.vocab_size,
        "output": directory,
    }
    for name, who in given.given.items():
        value, flag = getattr(given, name), given.flag(name)
        known = recorded.get(name, value)
        if name not in MAY_CHANGE and not given.setting(name).harmless and value != known:
            what = f"{flag} ({who})" if who else flag
            raise ConfigError(f"{what} is {value}, but the run to resume has {known}; omit {flag}")
