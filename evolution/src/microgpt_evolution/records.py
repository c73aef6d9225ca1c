"""A run on disk: its settings, and a line for each evaluation, with which a run can go on.

    .lock                held by the process whose run it is
    run.json             the settings and what the run was made with
    evaluations.jsonl    a line an evaluation, appended when it is known
    genome.json          the winner, once there is one; others write it

A search is a pure function of its settings and of what it is told, so a run goes on by being
repeated: what has been evaluated is looked up. This module knows nothing of how a search works.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from microgpt.directory_lock import DirectoryLock
from microgpt.errors import CheckpointError
from microgpt.validation import first_problem
from microgpt.whole_files import as_argument, cannot_write, publish
from microgpt_evolution.errors import RunError
from microgpt_evolution.evaluation_line import decode, encode_evaluation
from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation
from microgpt_evolution.trial import Measured, Trial

RUN, EVALUATIONS, GENOME = "run.json", "evaluations.jsonl", "genome.json"
IMPORTED_FROM = "imported_from"  # the setting that tells a run of somebody else's
FORMAT_VERSION = 1
USE = "being searched"  # of the directory, by the process that holds it


class _Run(BaseModel):
    """run.json, its keys in order."""

    model_config = ConfigDict(strict=True)

    version: int = FORMAT_VERSION
    created_by: str
    created_at: str
    settings: dict[str, Any]


class Records:
    """The records of one run, which no other process goes on with until they are closed.

    Attributes:
        directory: where they are.
        log: the text that goes with them, beside.
        settings: what the run was asked for.
    """

    def __init__(self, directory: Path, settings: dict[str, Any], lock: DirectoryLock) -> None:
        self.directory, self.settings = directory, settings
        self.log = directory.with_name(f"{directory.name}.log")
        self._known: dict[tuple[Genome, int | None], Evaluation] = {}
        self._lock = lock

    @classmethod
    def begin(cls, folder: Path, name: str, settings: dict[str, Any]) -> "Records":
        """Make the records of a new run, in a directory whose name is not taken yet.

        Args:
            folder: where runs are kept.
            name: what the directory's begins with; the time follows.
            settings: see `Records`; what JSON can hold.

        Raises:
            CheckpointError: they cannot be written.
        """
        try:
            directory = _new_directory(folder, name)
            try:
                lock = DirectoryLock(directory, USE)
                publish(directory, {EVALUATIONS: b"", RUN: encode_run(settings)})
            except BaseException:
                shutil.rmtree(directory, ignore_errors=True)
                raise
        except OSError as error:
            raise cannot_write(folder, error) from error
        return cls(directory, settings, lock)

    @classmethod
    def open(cls, path: Path) -> "Records":
        """Return the records of a run that has begun, with all that was evaluated.

        Args:
            path: the directory, or the log beside it.

        Raises:
            RunError: there is no run, or it is damaged. A last line that was torn is left out.
            CheckpointError: another process is at it, or it cannot be written.
        """
        directory = path.with_suffix("") if path.suffix == ".log" else path
        settings = _read_run(directory / RUN)
        if IMPORTED_FROM in settings:
            raise RunError(
                f"{path} was imported from a log, so it cannot go on; for its best: "
                f"microgpt genome use {as_argument(path)}"
            )
        try:
            lock = DirectoryLock(directory, USE)  # before the torn line: another may just write it
        except OSError as error:
            raise cannot_write(directory, error) from error
        records = cls(directory, settings, lock)
        try:
            records._read_evaluations()
        except BaseException:
            records.close()
            raise
        return records

    def close(self) -> None:
        """Let another process go on with the run."""
        self._lock.release(self.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def n_known(self) -> int:
        """How many evaluations are on record."""
        return len(self._known)

    def known(self, genome: Genome, seed: int) -> Evaluation | None:
        """Return what a training came to, if it has been done."""
        return self._known.get((genome, seed))

    def add(self, trial: Trial, measured: Measured, *, flops: int) -> None:
        """Append what came of a trial.

        Args:
            trial: what was trained.
            measured: what came of it.
            flops: what the training takes, whether it came to an end or not.

        Raises:
            CheckpointError: it cannot be written.
        """
        line = encode_evaluation(trial, measured, flops)
        try:
            with (self.directory / EVALUATIONS).open("ab") as file:
                file.write(line)
        except OSError as error:
            raise cannot_write(self.directory, error) from error
        self._known[trial.genome, trial.seed] = measured.evaluation

    def _read_evaluations(self) -> None:
        path = self.directory / EVALUATIONS
        try:
            *lines, _ = path.read_bytes().split(b"\n")  # the last is empty, or torn
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}") from error
        for number, line in enumerate(lines, start=1):
            genome, seed, evaluation = decode(line, f"{path}, line {number}", self.settings)
            self._known[genome, seed] = evaluation
        try:
            os.truncate(path, sum(len(line) + 1 for line in lines))
        except OSError as error:
            raise cannot_write(self.directory, error) from error


def encode_run(settings: dict[str, Any]) -> bytes:
    """Return the content of run.json."""
    run = _Run(
        created_by=f"microgpt {version('microgpt-evolution')}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=settings,
    )
    return f"{json.dumps(run.model_dump(), indent=2)}\n".encode()


def free_directories(folder: Path, name: str) -> Iterator[Path]:
    """Yield where a new run may be: its name, the time, and a number where that is taken.

    Args:
        folder: where runs are kept.
        name: what the directory's begins with.
    """
    stem = f"{name}_{datetime.now():%Y%m%d_%H%M%S}"
    for directory in (folder / f for f in chain([stem], (f"{stem}_{i}" for i in count(2)))):
        if not (directory.exists() or directory.with_name(f"{directory.name}.log").exists()):
            yield directory


def _new_directory(folder: Path, name: str) -> Path:
    """Make a directory whose name is not taken."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise CheckpointError(f"{folder} is no directory, and runs are kept there; move it away")
    folder.mkdir(parents=True, exist_ok=True)
    for directory in free_directories(folder, name):
        with suppress(FileExistsError):  # another process was faster
            directory.mkdir()
            break
    return directory


def _read_run(path: Path) -> dict[str, Any]:
    """Return the settings of a run."""
    try:
        facts = json.loads(path.read_bytes())
        made_with = facts.get("version") if isinstance(facts, dict) else None
        if isinstance(made_with, int) and made_with > FORMAT_VERSION:
            raise RunError(
                f"{path}: version is {made_with}, this microgpt reads up to {FORMAT_VERSION}; "
                "update it"
            )
        return _Run.model_validate(facts).settings
    except OSError as error:
        where = f"{path.parent} is no run to go on with"
        raise RunError(f"{where}: cannot read {path.name}: {error.strerror}") from error
    except ValidationError as error:
        raise RunError(f"{path}: {first_problem(error)}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: invalid JSON: {error}") from error
