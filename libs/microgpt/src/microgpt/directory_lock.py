"""One process a directory: a lock of the operating system, which ends with its owner.

This module knows nothing of what is in the directory.
"""

import os
import platform
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from microgpt.errors import CheckpointError

LOCK = ".lock"


class DirectoryLock:
    """Holds a directory until it is released or the process ends, however it ends."""

    def __init__(self, directory: Path, use: str = "being trained") -> None:
        """Take hold of a directory.

        Args:
            directory: which exists.
            use: what its holder is told to be doing: the directory is …

        Raises:
            CheckpointError: another process holds it, which is named.
            OSError: it cannot be written.
        """
        self._lock = FileLock(directory / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise CheckpointError(
                f"{directory} is {use} by {_owner(directory)}; wait for it, "
                "or name another directory"
            ) from None
        with suppress(OSError):  # on a full disk its owner has no name
            (directory / LOCK).write_text(f"process {os.getpid()} on {platform.node()}")

    def release(self, directory: Path) -> None:
        """Let go of the directory, which may have been renamed."""
        with suppress(OSError):
            (directory / LOCK).unlink()
        self._lock.release()


def is_held(directory: Path) -> bool:
    """Return whether a process holds the directory."""
    if not (directory / LOCK).exists():
        return False
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False


def _owner(directory: Path) -> str:
    try:
        return (directory / LOCK).read_text() or "another process"
    except OSError:
        return "another process"
