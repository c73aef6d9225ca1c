"""Ask before replacing a finished model or files of other programs."""

import os
import time
from contextlib import suppress
from pathlib import Path

from microgpt import (
    META,
    MOONBASE_WEIGHTS,
    STATE,
    TOKENIZER,
    TRAINING,
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
from microgpt_cli.terminal.console import ask
from microgpt_cli.training.request import TrainRequest


def check_output(path: Path, job: TrainingJob, request: TrainRequest) -> None:
    """Ask before a new run replaces a model; raise CheckpointError if the model is to be kept.

    An unfinished run is always kept. A run without options may replace the same model. The time
    until the answer does not count towards --minutes.
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
        return  # the model goes on in its own directory
    if not (request.is_default and has_same_model(path, job.plan)):
        job.extend(confirm_replacement(path, unused_model(job.plan.input)))


def confirm_replacement(directory: Path, option: str) -> float:
    """Ask for confirmation if a model, or files of another program, would be replaced.

    Return the seconds until the answer.

    Raises:
        CheckpointError: there is no terminal, or the answer is no.
    """
    if has_model(directory):
        what, it = f"{directory} has a model{_describe(directory)}", "the model"
    elif others := _others(directory):
        what, it = f"{directory} has {', '.join(others)}, but no microgpt model", "these files"
    else:
        return 0.0
    return _confirm(directory, what, it, f"use another directory with {option}")


def confirm_export(output: Path, mark: str | None, example: str, *, is_forced: bool) -> None:
    """Ask before an earlier export is replaced: a file, or a directory with a file named `mark`.

    Raises:
        CheckpointError: there is a directory instead of a file, or one with other files; or there
            is no terminal, or the answer is no.
    """
    what, remedy = f"{output} exists", "use another file with --output"
    if mark:
        what, remedy = f"{output} has an earlier export", "use another directory with --output"
        if not os.path.isdir(output) or not os.listdir(output):
            return
        if not os.path.lexists(output / mark):
            raise CheckpointError(f"{output} has files other than those of an export; {remedy}")
    elif os.path.isdir(output):  # unlike Path.is_dir, for any name
        raise CheckpointError(f"{output} is a directory; name a file, such as {output / example}")
    if os.path.lexists(output) and not is_forced:
        _confirm(output, what, "it", remedy)


def _confirm(path: Path, what: str, it: str, remedy: str) -> float:
    """Ask whether to replace something at a path; return the seconds until the answer."""
    asked = time.perf_counter()
    answer = ask(f"{what}; replace {it}?")
    if answer is None:
        raise CheckpointError(f"{what}; {remedy}, or replace {it} with --force")
    if not answer:
        raise CheckpointError(f"{path} is unchanged; {remedy}")
    return time.perf_counter() - asked


def unused_model(data: Path | None) -> str:
    """Return --model, followed by the name of the data file if no such path exists."""
    name = data.stem if data else ""
    return f"--model {as_argument(Path(name))}" if name and not os.path.lexists(name) else "--model"


def has_same_model(directory: Path, plan: TrainingPlan) -> bool:
    """Return whether a directory has the model that a planned run would produce again."""
    with suppress(CheckpointError):
        return is_result_of(plan, read_meta(directory))
    return False


def _others(directory: Path) -> list[str]:
    """Return files that a model would overwrite in a directory not created by microgpt."""
    if committed_path(directory, STATE).exists():  # a training run without a model
        return []
    names = (META, TOKENIZER, *TRAINING, MOONBASE_WEIGHTS)
    return [name for name in names if os.path.lexists(directory / name)]


def _describe(directory: Path) -> str:
    """Return the steps and the loss of a model, if known, in parentheses."""
    with suppress(CheckpointError):
        meta = read_meta(directory)
        if isinstance(steps := meta.training.get("steps"), int):
            return f" ({steps:,} steps, loss {loss_of(meta)})"
    return ""
