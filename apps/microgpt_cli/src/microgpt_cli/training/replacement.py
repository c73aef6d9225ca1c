"""Refuse to replace models, unfinished runs or other programs' files unless --force is given."""

import os
from contextlib import suppress
from pathlib import Path

from microgpt import (
    META,
    MOONBASE_WEIGHTS,
    STATE,
    TOKENIZER,
    TRAINING_FILES,
    CheckpointError,
    TrainingJob,
    TrainingPlan,
    as_argument,
    committed_path,
    has_model,
    has_state,
    is_result_of,
    read_meta,
    read_training,
)
from microgpt_cli.model_loading import loss_of
from microgpt_cli.training.train_request import TrainRequest

MODEL_SUFFIXES = (".json", ".safetensors", ".crc32")  # suffixes of the files in model directories


def check_output(path: Path, job: TrainingJob, request: TrainRequest) -> None:
    """Raise CheckpointError if a new run would replace a model or an unfinished run.

    A run without options can replace a model that it reproduces.
    """
    if request.force:
        return
    if has_state(path):
        recorded, state, status = read_training(path)
        if status == "running":
            raise CheckpointError(
                f"the training run in {path} is unfinished (step {state.step} of "
                f"{recorded.config.steps}); resume it with --resume {as_argument(path)}, or "
                "replace it with --force"
            )
    if request.from_ and os.path.realpath(request.from_) == os.path.realpath(path):
        return  # fine-tuning is allowed to replace the parent model
    changes = request.input or request.teacher or request.genome or request.from_
    if changes or request.given.keys() - {"threads"} or not has_same_model(path, job.plan):
        check_replacement(path, unused_model(job.plan.input))


def check_replacement(directory: Path, option: str) -> None:
    """Raise CheckpointError, which suggests `option`, if writing a model would replace files."""
    if has_model(directory):
        what, it = f"{directory} has a model{_describe(directory)}", "the model"
    elif others := _others(directory):
        what, it = f"{directory} has {', '.join(others)}, but no microgpt model", "these files"
    else:
        return
    remedy = f"use another directory with {option}, or replace {it} with --force"
    raise CheckpointError(f"{what}; {remedy}")


def check_export(output: Path, mark: str | None, example: str, *, is_forced: bool) -> None:
    """Raise CheckpointError if an export must not be written to `output` or replace what is there.

    `mark` is a file name that identifies an exported directory; None if the export is one file.
    """
    what, remedy = f"{output} exists", "use another file with --output"
    if mark:
        what, remedy = f"{output} has an earlier export", "use another directory with --output"
        if not os.path.isdir(output) or not os.listdir(output):
            return
        if not os.path.lexists(output / mark):
            raise CheckpointError(f"{output} has files other than those of an export; {remedy}")
    elif os.path.isdir(output):  # unlike Path.is_dir, raises no error for an invalid name
        raise CheckpointError(f"{output} is a directory; name a file, such as {output / example}")
    elif has_model(output.parent) and output.suffix in MODEL_SUFFIXES:
        raise CheckpointError(f"{output} is a file of a model; {remedy}")
    if os.path.lexists(output) and not is_forced:
        raise CheckpointError(f"{what}; {remedy}, or replace it with --force")


def unused_model(data: Path | None) -> str:
    """Return `--model STEM` with the stem of the data file, or only `--model` if STEM exists."""
    name = Path(data.stem if data and data.exists() else ".")  # a glob pattern has no stem
    return "--model" if name.exists() else f"--model {as_argument(name)}"


def has_same_model(directory: Path, plan: TrainingPlan) -> bool:
    """Return whether a directory has the model that a planned training run would produce."""
    with suppress(CheckpointError):
        return is_result_of(plan, read_meta(directory))
    return False


def _others(directory: Path) -> list[str]:
    """Return the names of another program's files that a model in the directory would replace."""
    if committed_path(directory, STATE).exists():  # the files are those of an unfinished run
        return []
    names = (META, TOKENIZER, *TRAINING_FILES, MOONBASE_WEIGHTS)
    return [name for name in names if os.path.lexists(directory / name)]


def _describe(directory: Path) -> str:
    """Return the number of steps and the loss of a model in parentheses, or "" if unknown."""
    with suppress(CheckpointError):
        meta = read_meta(directory)
        if isinstance(steps := meta.training.get("steps"), int):
            return f" ({steps:,} steps, loss {loss_of(meta)})"
    return ""
