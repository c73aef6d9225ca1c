"""Ask before a finished model is replaced."""

import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import typer

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import read_consistently
from microgpt.printable import printable
from microgpt.state import TrainingPlan
from microgpt.storage.meta import META, Meta, is_result_of
from microgpt.storage.model_directory import has_model, read_meta
from microgpt_cli.saved_directories import age
from microgpt_cli.terminal.console import MAX_LINE

# Options that do not change the result of a training run.
HARMLESS = {"output", "threads", "checkpoint_every", "num_samples", "plot", "as_json"}


def confirm_replacement(directory: Path, option: str) -> None:
    """Ask for confirmation if a model in a directory would be replaced.

    Raises:
        CheckpointError: there is no terminal to ask at, or the answer is no.
    """
    if not has_model(directory):
        return
    what = f"{directory} has a model ({_describe(directory)})"
    if sys.stdin.isatty() and sys.stderr.isatty():
        with suppress(typer.Abort):  # the end of the input counts as "no"
            if typer.confirm(f"{printable(what, MAX_LINE)}; replace it?", err=True):
                return
        raise CheckpointError(f"{directory} is unchanged; use another directory with {option}")
    raise CheckpointError(
        f"{what}; use another directory with {option}, or replace the model with --force"
    )


def is_repeated(plan: TrainingPlan, directory: Path, given: Iterable[str]) -> bool:
    """Return whether a run without options would recreate the model in a directory."""
    meta = _read_meta(directory)
    return meta is not None and set(given) <= HARMLESS and is_result_of(plan, meta)


def _read_meta(directory: Path) -> Meta | None:
    """Return the content of meta.json, or None if it cannot be read."""
    try:
        return read_consistently(directory, lambda: read_meta(directory))
    except CheckpointError:
        return None


def _describe(directory: Path) -> str:
    """Return a text with the age of a model and, if known, the steps and losses."""
    facts = [_age(directory)]
    training = meta.training if (meta := _read_meta(directory)) else {}
    if isinstance(steps := training.get("steps"), int):
        facts.append(f"{steps:,} steps")
    for name, what in (("train_loss", "loss"), ("val_loss", "held-out loss")):
        if isinstance(loss := training.get(name), float):
            facts.append(f"{what} {loss:.3f}")
    return ", ".join(facts)


def _age(directory: Path) -> str:
    """Return the age of a model in the largest unit that fits."""
    try:
        return f"{age(time.time() - os.stat(directory / META).st_mtime)} old"
    except OSError:
        return "of unknown age"
