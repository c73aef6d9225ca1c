"""Files that are written whole or not at all, several together, in a directory or with it.

They are written beside, in a hidden directory, and renamed into place. Where that ends half-way,
those that were not renamed still wait there; `described` finds what belongs together. This module
knows nothing of what the files hold.
"""

import errno
import glob
import hashlib
import json
import os
import shlex
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from microgpt.directory_lock import LOCK, is_held
from microgpt.errors import CheckpointError, FullDiskError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # disk, quota, largest file
YOUNG_S = 60  # a new directory that is not held yet may be this old


def publish(directory: Path, files: Mapping[str, bytes], staging: Path | None = None) -> None:
    """Put files into a directory: into a new one all at once, else one after another.

    The last one should have the hash of the first, so that it can be told whether they belong
    together. Nothing else in the directory is changed.

    Args:
        directory: the place.
        files: their names and contents.
        staging: of a new directory, where something already waits to become part of it.

    Raises:
        CheckpointError: they cannot be written. If there is no room, nothing has changed.
    """
    is_new, in_place = staging is not None or not os.path.isdir(directory), False
    try:
        staging = staging or make_staging(directory)
        try:
            for name, content in files.items():
                if os.path.isdir(directory / name):
                    raise CheckpointError(f"{directory / name} is a directory; name another place")
                _write(staging / name, content)
            if is_new:
                staging.rename(directory)
            else:
                for name in files:
                    os.replace(staging / name, directory / name)
                    in_place = True
                staging.rmdir()
            _sync_directory(directory.parent if is_new else directory)
        except BaseException:
            if not in_place:  # else the rest must wait there
                shutil.rmtree(staging, ignore_errors=True)
            raise
    except OSError as error:
        raise cannot_write(directory, error, sum(map(len, files.values()))) from error


def make_staging(directory: Path) -> Path:
    """Make a hidden directory on the same file system: inside, or beside one that is yet to be."""
    check_place(directory)
    home, prefix = _staging_place(directory, inside=directory.is_dir())
    home.mkdir(parents=True, exist_ok=True)
    staging = home / f"{prefix}{uuid.uuid4().hex}"
    staging.mkdir()  # not tempfile.mkdtemp: it would become a model that its owner alone can read
    return staging


def check_place(directory: Path) -> None:
    """Raise CheckpointError if a directory is none and cannot become one, or cannot be written."""
    for path in (directory, *directory.parents):
        if path.is_dir():
            if not os.access(path, os.W_OK):
                raise cannot_write(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
            return
        if os.path.lexists(path):
            what = "a file" if path.exists() else "a link to nothing"
            raise CheckpointError(f"{path} is {what}, not a directory; name another place")


def described(directory: Path, name: str, description: str, key: str) -> tuple[bytes, Path]:
    """Return the content of a file and the path of the JSON file that describes it.

    That may still wait, because the process that wrote both was killed.

    Args:
        directory: the place.
        name: of the file.
        description: the name of the JSON file.
        key: where it has the sha256 of the file.

    Raises:
        CheckpointError: the file cannot be read.
    """
    content = read(directory / name)
    sha256 = hashlib.sha256(content).hexdigest()
    for staging in _stagings(directory):
        waiting = staging / description
        if waiting.is_file() and not (staging / name).exists() and _has(waiting, key, sha256):
            return content, waiting
    return content, directory / description


def settle(directory: Path, name: str, description: str, key: str) -> None:
    """Put what still waits together with the description of a file into place, that last."""
    if (directory / name).is_file():
        _, path = described(directory, name, description, key)
        if path.parent != directory:
            for waiting in sorted(path.parent.iterdir(), key=path.__eq__):
                os.replace(waiting, directory / waiting.name)


def remove_leftovers(directory: Path) -> None:
    """Remove what was killed half-way, once nothing waits there any more.

    Only who holds the directory may do so, or anyone if nobody does.
    """
    for leftover in _stagings(directory):
        if not _may_be_alive(leftover, directory):
            shutil.rmtree(leftover, ignore_errors=True)


def _may_be_alive(leftover: Path, directory: Path) -> bool:
    """Return whether another process may be about to make the same directory of it."""
    if leftover.parent == directory:
        return False
    with suppress(OSError):
        is_young = time.time() - leftover.stat().st_mtime < YOUNG_S
        return is_held(leftover) or (is_young and not (leftover / LOCK).exists())
    return False


def read(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error


def _staging_place(directory: Path, *, inside: bool) -> tuple[Path, str]:
    """Return where the hidden directory of a save lies, and how its name begins."""
    return (directory, ".saving-") if inside else (directory.parent, f".{directory.name}.saving-")


def _stagings(directory: Path) -> Iterator[Path]:
    for inside in (True, False):
        home, prefix = _staging_place(directory, inside=inside)
        yield from home.glob(glob.escape(prefix) + "*")


def _has(path: Path, key: str, value: str) -> bool:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and facts.get(key) == value


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    """Have the names of its files survive a power cut, where a directory can be synced."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def cannot_write(directory: Path, error: OSError, n_bytes: int = 0) -> CheckpointError:
    """Return what to raise; for want of room with the bytes that it takes, if they are known."""
    problem = f"cannot write to {directory}: {error.strerror}"
    if error.errno in NO_ROOM:
        return FullDiskError(f"{problem}; it takes {n_bytes:,} bytes" if n_bytes else problem)
    if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
        return CheckpointError(f"another process has just made {directory}; name another one")
    return CheckpointError(f"{problem}; name another directory")


def as_argument(path: Path) -> str:
    """Return a path as it is typed in a command."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
