"""`microgpt remove`: remove models and runs."""

import os
import shutil
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer

from microgpt.config import CURVE_FILES
from microgpt.errors import ConfigError
from microgpt.files.atomic_files import SAVED, SAVING
from microgpt_cli.terminal.console import note, print_or_discard, say

# Metadata files come last, so that an interrupted removal can be repeated.
OWN_FILES = {
    "model": (
        *("weights.json", "weights.safetensors", "tokenizer.json", "history.jsonl"),
        *("train_state.safetensors", *CURVE_FILES, "train_state.json", "meta.json"),
    ),
    "run": (
        *("evaluations.csv", "exam.json", "genome.json", "report.html"),
        *("evaluations.jsonl", "run.json"),
    ),
}


def remove(
    directories: Annotated[
        list[Path],
        typer.Argument(help="Directories of models or runs.", metavar="DIR", show_default=False),
    ],
    force: Annotated[bool, typer.Option("--force", help="Do not ask.")] = False,
) -> None:
    """Remove models, training runs, searches and sweeps.

    Show what is there, and ask. Only files that microgpt has written are removed.
    """
    from microgpt.files.directory_lock import DirectoryLock
    from microgpt_cli.saved_directories import lines_of, saved_in

    paths = list({os.path.realpath(path): path for path in directories}.values())
    found = []
    for path in paths:
        saved = list(saved_in(path)) if path.is_dir() and not path.is_symlink() else []
        if not saved:
            raise ConfigError(
                f"{path} is not the directory of a model or a run; see `microgpt list`"
            )
        found += saved
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(DirectoryLock(path, "being removed", exists=True))
        if not force:
            for line in lines_of(found):
                say(line)
            _confirm(paths)
        kinds = {saved.path: saved.kind for saved in found}
        for path in paths:
            is_model = kinds[str(path)] in ("model", "training")
            _remove_files(path, OWN_FILES["model" if is_model else "run"])
    for path in paths:
        _remove_directory(path)


def _confirm(paths: list[Path]) -> None:
    """Ask for confirmation; raise ConfigError if the user declines or there is no terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError("there is no terminal to ask at; remove without a question with --force")
    what = "this directory" if len(paths) == 1 else f"these {len(paths)} directories"
    with suppress(typer.Abort):  # the end of the input counts as "no"
        if typer.confirm(f"remove {what}?", err=True):
            return
    raise ConfigError("nothing was removed")


def _remove_files(directory: Path, names: tuple[str, ...]) -> None:
    try:
        for entry in list(os.scandir(directory)):
            is_staging = entry.name == SAVED or entry.name.startswith(SAVING)
            if is_staging and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(directory / name)
        if "run.json" in names:  # the log of a run is beside the run directory
            path = Path(os.path.realpath(directory))
            with suppress(FileNotFoundError):
                os.unlink(path.with_name(f"{path.name}.log"))
    except OSError as error:
        raise ConfigError(f"cannot remove {error.filename}: {error.strerror}") from error


def _remove_directory(directory: Path) -> None:
    """Remove a directory if empty; otherwise, print a note that lists the remaining files."""
    try:
        others = sorted(os.listdir(directory))
        if not others:
            os.rmdir(directory)
    except OSError as error:
        raise ConfigError(f"cannot remove {directory}: {error.strerror}") from error
    if others:
        note(f"kept in {directory}, not written by microgpt: {', '.join(others)}")
    print_or_discard(f"Removed {directory}")
