"""`microgpt remove`: remove models and runs."""

import os
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from microgpt.config import CALIBRATION, CURVE_FILES, DOCUMENT_HASHES
from microgpt.errors import ConfigError
from microgpt.files.atomic_files import SAVED, SAVING
from microgpt.files.regular_file import read_regular_file
from microgpt_cli.terminal.console import ask, note, print_or_discard, say
from microgpt_cli.terminal.options import DEFAULT_TEXT, argument, flag

if TYPE_CHECKING:
    from microgpt.files.directory_lock import DirectoryLock
    from microgpt_cli.saved_directories import Saved

# Metadata files come last, so that an interrupted removal can be repeated.
TRAINING = ("history.jsonl", *CURVE_FILES, "train_state.safetensors", "train_state.json")
OWN_FILES = {
    "model": (
        *("weights.json", "model.safetensors", "tokenizer.json", CALIBRATION, DOCUMENT_HASHES),
        *(*TRAINING, "meta.json"),
    ),
    "training": TRAINING,  # without a model, the other files belong to another program
    "run": (
        *("evaluations.csv", "exam.json", "genome.json", "report.html"),
        *("evaluations.jsonl", "run.json"),
    ),
}
# First bytes of the logs of the three kinds of search.
LOG_STARTS = (b"=== MicroGPT Loss Evo", b"--- Starting Aesthetic Evo", b"Hydra Evolution (v3)")


def remove(
    directories: list[Path] = argument(..., "Directories of models or runs.", "DIR"),
    yes: bool = flag("--yes", "Do not ask for confirmation.", "-y"),
) -> None:
    """Remove models, training runs, searches and sweeps.

    List them and ask for confirmation. Only files written by microgpt are removed.
    """
    from microgpt.data.documents import DEMO_MODEL, bundled
    from microgpt.files.directory_lock import DirectoryLock
    from microgpt_cli.saved_directories import saved_in

    found = {}
    demo = str(bundled(DEFAULT_TEXT).parent / DEMO_MODEL)
    for real, path in {os.path.realpath(path): path for path in directories}.items():
        if real == demo:
            raise ConfigError(f"{path} is the bundled demo model; choose another directory")
        is_real = path.is_dir() and not path.is_symlink()
        # The kind "run" means a damaged run.json, possibly written by another program.
        found[path] = [one for one in saved_in(path) if one.kind != "run"] if is_real else []
        if not found[path]:
            raise ConfigError(
                f"{path} is not the directory of a model or a run; see `microgpt list`"
            )
    with ExitStack() as stack:
        locks = {path: DirectoryLock(path, "being removed", exists=True) for path in found}
        for lock in locks.values():
            stack.enter_context(lock)
        files = {path: _files_of(path, saved) for path, saved in found.items()}
        if not yes:
            _confirm(found, files)
        for path, saved in found.items():
            _remove(path, files[path], locks[path], " and ".join(one.kind for one in saved))


def _confirm(found: "dict[Path, list[Saved]]", files: dict[Path, list[Path]]) -> None:
    """List the items to remove; raise ConfigError or Exit unless the answer is yes."""
    from microgpt_cli.saved_directories import lines_of

    for line in lines_of([one for saved in found.values() for one in saved]):
        say(line)
    for log in (file for each in files.values() for file in each if file.suffix == ".log"):
        say(f"log: {log}")
    what = "this directory" if len(found) == 1 else f"these {len(found)} directories"
    if (answer := ask(f"remove {what}?")) is None:
        raise ConfigError("no terminal to ask for confirmation; use --yes to skip the question")
    if not answer:
        say("nothing was removed")
        raise typer.Exit(2)


def _files_of(directory: Path, found: "list[Saved]") -> list[Path]:
    """Return the paths of the files to remove; raise ConfigError if one is a directory."""
    groups = dict.fromkeys(one.kind if one.kind in OWN_FILES else "run" for one in found)
    files = [directory / name for group in groups for name in OWN_FILES[group]]
    for file in files:
        if file.is_dir() and not file.is_symlink():
            raise ConfigError(f"{file} is a directory; remove it first")
    if any(one.kind == "search" for one in found):  # the log is next to the directory
        log = Path(f"{os.path.realpath(directory)}.log")
        with suppress(OSError):
            if read_regular_file(log, 2**28).startswith(LOG_STARTS):
                files.insert(0, log)
    return files


def _remove(directory: Path, files: list[Path], lock: "DirectoryLock", kinds: str) -> None:
    """Remove files, then the directory if it is empty; otherwise, list the remaining files."""
    try:
        for entry in list(os.scandir(directory)):
            is_staging = entry.name == SAVED or entry.name.startswith(SAVING)
            if is_staging and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
        for file in files:
            file.unlink(missing_ok=True)
        lock.release()
        if others := sorted(os.listdir(directory)):
            note(f"these files were kept in {directory}: {', '.join(others)}")
        else:
            os.rmdir(os.path.realpath(directory))  # rmdir refuses "."
    except OSError as error:
        raise ConfigError(f"cannot remove {error.filename}: {error.strerror}") from error
    print_or_discard(f"Removed the {kinds} in {directory}" if others else f"Removed {directory}")
