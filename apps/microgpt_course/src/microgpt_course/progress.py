"""A learner's directory: the exercises, and the record of the learner's progress."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ValidationError

from microgpt import ConfigError, as_argument, bundled, first_problem, publish, read
from microgpt_course.exercises import names, with_holes

DIRECTORY = Path("course")  # default directory of the exercises
PROGRESS = "progress.json"
MAX_BYTES = 1 << 20  # maximum size in bytes of an exercise file or of progress.json


class CourseProgress(BaseModel):
    """The progress of a learner, stored as progress.json."""

    done: dict[str, str] = {}  # by exercise: SHA-256 of the file that passed the check
    hints: dict[str, int] = {}  # by exercise: number of hints that have been shown
    results: dict[str, tuple[float, float]] = {}  # by experiment: loss, mean number of active units


def command(words: str, directory: Path = DIRECTORY) -> str:
    """Return the `microgpt course` command for the exercises in a directory."""
    where = "" if directory in (Path(), DIRECTORY) else f" --directory {as_argument(directory)}"
    return f"microgpt course {words}{where}"


def start(directory: Path) -> None:
    """Write all exercises to a new directory."""
    if (directory / PROGRESS).exists():
        raise ConfigError(f"{directory} has a course; go on with: {command('check', directory)}")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"{directory} is not an empty directory; use another one")
    files = {f"{name}.py": with_holes(name).encode() for name in names()}
    files["names.txt"] = bundled("names.txt").read_bytes()
    publish(directory, {**files, PROGRESS: CourseProgress().model_dump_json().encode()})


def read_progress(directory: Path) -> CourseProgress:
    """Read the progress of a learner; an exercise that has changed since its check is not done.

    Raises:
        ConfigError: the directory has no progress.json, or the file cannot be read.
    """
    path = directory / PROGRESS
    if not path.is_file():
        raise ConfigError(
            f"{directory} contains no course; go to yours, or start one with: {command('start')}"
        )
    try:
        found = CourseProgress.model_validate_json(read(path, MAX_BYTES, ConfigError))
    except ValidationError as error:
        raise ConfigError(
            f"{path} is damaged ({first_problem(error)}); replace it with {{}} to check all "
            "exercises again"
        ) from error
    done = {name: found.done[name] for name in names() if name in found.done}
    found.done = {name: sha for name, sha in done.items() if file_hash(directory, name) == sha}
    return found


def write_progress(directory: Path, progress: CourseProgress) -> None:
    """Write the learner's progress to progress.json."""
    publish(directory, {PROGRESS: progress.model_dump_json(indent=1).encode()})


def file_hash(directory: Path, name: str) -> str:
    """Return the SHA-256 of a learner's file; raise ConfigError if it cannot be read."""
    path = directory / f"{name}.py"
    if not path.is_file():
        again = command(f"start {as_argument(directory / 'again')}")
        raise ConfigError(
            f"{path} does not exist; put the file back, or write all exercises to another "
            f"directory: {again}"
        )
    return hashlib.sha256(read(path, MAX_BYTES, ConfigError)).hexdigest()
