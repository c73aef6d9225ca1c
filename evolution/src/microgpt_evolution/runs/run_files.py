"""The files of a run: run.json with its settings, and evaluations.jsonl with its evaluations."""

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from typing import Annotated
from zlib import crc32

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from microgpt import (
    SAVING,
    DirectoryLock,
    as_argument,
    cannot_write,
    other_version,
    publish,
    read,
    read_regular_file,
)
from microgpt_evolution.errors import GenomeError, RunError, raised_as
from microgpt_evolution.genome import Genome

RUN, EVALUATIONS = "run.json", "evaluations.jsonl"
FORMAT_VERSION = 3
MAX_RUN_BYTES = 2**24  # a sweep of 10,000 configurations takes 3 MB
MAX_EVALUATIONS_BYTES = 2**28  # enough for 400,000 lines without samples
CHECKSUM = b',"crc32":"'  # begins the last key of a line
REMEDY = "remove the line and resume the run, which repeats the evaluation"


def _genome_of(settings: object) -> Genome:
    if isinstance(settings, Genome):
        return settings
    if not isinstance(settings, dict):
        raise GenomeError(f"a genome must be a JSON object, got {settings!r:.80}")
    return Genome.from_dict(settings)


class Stored(BaseModel):
    """Base class of the records that a run stores."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


Genes = Annotated[  # a genome, of which only the settings that are not the default are stored
    Genome, PlainValidator(_genome_of), PlainSerializer(Genome.to_dict)
]


class RunFile(Stored):
    """The content of run.json; the fields are in the order of the keys in the file."""

    version: int = FORMAT_VERSION
    created_by: str
    created_at: str
    settings: dict[str, object]

    def encode(self) -> bytes:
        """Return the content of the file."""
        return f"{json.dumps(self.model_dump(), indent=2)}\n".encode()


def directory_of(path: Path) -> Path:
    """Return the directory of a run, given the directory or the log file."""
    return path.with_suffix("") if path.suffix == ".log" else path


def new_run_file(settings: dict[str, object]) -> RunFile:
    """Return the run.json of a run that begins now."""
    return RunFile(
        created_by=f"microgpt {version('microgpt-evolution')}",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=settings,
    )


def read_run_file(directory: Path) -> RunFile:
    """Read run.json; raise RunError if it is missing or damaged."""
    path = directory / RUN
    try:
        content = read_regular_file(path, MAX_RUN_BYTES)
    except OSError as error:
        if (directory / "meta.json").exists():
            how = f"see it with: microgpt info {as_argument(directory)}"
            raise RunError(f"{directory} is a model, not a run; {how}") from error
        raise RunError(
            f"{directory} is not a run: cannot read {RUN}: {error.strerror}; runs are directories "
            "such as experiments/evolve_… and experiments/sweep_…"
        ) from error
    with raised_as(RunError, path, form="JSON"):
        if problem := other_version(content, "version", FORMAT_VERSION):
            raise RunError(problem)
        return RunFile.model_validate(json.loads(content))


def whole_lines(directory: Path) -> list[tuple[str, bytes]]:
    """Return (location, line) for each complete line of evaluations.jsonl.

    Raises:
        RunError: the file cannot be read, or a line has changed since it was written.
    """
    path = directory / EVALUATIONS
    content = read(path, MAX_EVALUATIONS_BYTES, RunError)
    *lines, _ = content.split(b"\n")  # the last line is empty or incomplete
    located = [(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1)]
    for where, line in located:
        record = line.rpartition(CHECKSUM)[0] + b"}"
        if line + b"\n" != with_checksum(record):
            raise RunError(f"{where}: crc32 differs, so the line was changed; {REMEDY}")
    return located


def with_checksum(record: bytes) -> bytes:
    """Return a line of evaluations.jsonl: a JSON object with its CRC-32 as the last key."""
    return record[:-1] + CHECKSUM + b'%08x"}\n' % crc32(record)


def new_directory(
    folder: Path, name: str, files: Mapping[str, bytes], *, is_stamped: bool = True
) -> Path:
    """Create the directory of a new run atomically, and return its path.

    Args:
        folder: parent of the new directory. Unfinished files of a killed process are removed.
        files: file contents by file name.
        is_stamped: append a timestamp to the name, and a number if that name already exists.

    Raises:
        RunError: the folder is a file.
        CheckpointError: the directory cannot be written.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise RunError(f"cannot save runs in {folder}: it is not a directory; rename it")
    staging = folder / SAVING  # removed by the next lock holder if this process is killed
    try:
        with DirectoryLock(folder):
            directory = _free_directory(folder, name) if is_stamped else folder / name
            try:
                publish(staging / directory.name, files)
                (staging / directory.name).rename(directory)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return directory


def _free_directory(folder: Path, name: str) -> Path:
    """Return a timestamped path for which neither a directory nor a log file exists."""
    stem = f"{name}_{datetime.now():%Y%m%d_%H%M%S}"
    paths = (folder / f for f in chain([stem], (f"{stem}_{i}" for i in count(2))))
    return next(path for path in paths if not (path.exists() or Path(f"{path}.log").exists()))
