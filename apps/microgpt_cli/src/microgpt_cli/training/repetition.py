"""Repeat a training run bit for bit: `microgpt train --repeat`."""

import os
from dataclasses import replace
from pathlib import Path

from microgpt.data.contamination import contamination
from microgpt.errors import CheckpointError, ConfigError
from microgpt.files.atomic_files import committed_path
from microgpt.state import TrainingPlan, TrainResult
from microgpt.storage.meta import STATE_DESCRIPTION
from microgpt.storage.model_directory import SavedModel, has_model, load
from microgpt.storage.training_directory import read_training
from microgpt.training.options import TrainOptions
from microgpt.training.planning import TrainingJob, data_of
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.training.resumption import recorded_documents
from microgpt_cli.training.teachers import recorded_teachers


def repeated_job(directory: Path, given: TrainOptions) -> tuple[TrainingJob, SavedModel | None]:
    """Return a job that repeats the training run in a directory, and the model to get, if known.

    Raises:
        CheckpointError: the directory has no record of a training run.
        ConfigError: the documents or the parent model are not those of the run, or the output
            directory is that of the run.
    """
    if not committed_path(directory, STATE_DESCRIPTION).exists():
        raise CheckpointError(
            f"{directory} has no {STATE_DESCRIPTION}, so its training cannot be repeated; use a "
            "directory written by `microgpt train`"
        )
    if os.path.realpath(directory) == os.path.realpath(given.output) and not given.force:
        raise ConfigError(
            f"--repeat would replace the model in {directory}; write to another directory with "
            "--model, or replace the model with --force"
        )
    plan, _, status = read_training(directory)
    if status == "diverged":
        raise ConfigError(f"the training run in {directory} diverged; use another directory")
    parent = _parent(plan, directory, given.from_)
    path, parts = recorded_documents(plan, given)
    plan, teachers = recorded_teachers(plan, given.teacher)
    read = data_of(parent, teachers)  # an older version did not record it
    plan = replace(plan, ancestor_data=read, contamination=contamination(parts, read))
    steps = plan.steps_changed[0].before if plan.steps_changed else plan.config.steps
    plan = replace(
        plan,
        config=replace(plan.config, steps=steps),
        input=path,
        weights_format=given.format or plan.weights_format,
        minutes=None,  # the recorded changes are made, but no others
    )
    is_ended = status == "ended" and has_model(directory)
    return TrainingJob(plan, parts, parent, teachers), load(directory) if is_ended else None


def _parent(plan: TrainingPlan, directory: Path, path: Path | None) -> SavedModel | None:
    """Return the model that the run started from, if any."""
    if not plan.parent_sha256:
        if path:
            raise ConfigError(f"the run in {directory} did not start from a model; omit --from")
        return None
    if not path:
        raise ConfigError(
            f"the run in {directory} started from a model; pass its directory with --from"
        )
    parent = load_model(path)
    if parent.sha256 != plan.parent_sha256:
        raise ConfigError(
            f"the run in {directory} did not start from the model in {path}, whose sha256 is "
            f"{parent.sha256[:12]}…, not {plan.parent_sha256[:12]}…; pass "
            "another directory with --from"
        )
    return parent


def note_difference(result: TrainResult, repeated: SavedModel, directory: Path) -> None:
    """Print whether a repeated run gave the same weights."""
    if result.weights == repeated.weights:
        note(f"the weights are identical to those in {directory}")
        return
    version = repeated.meta.created_by or "another version"
    note(
        f"the weights differ from those in {directory}, which were trained by {version}, perhaps "
        "on another processor"
    )
