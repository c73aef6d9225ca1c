"""Exclusive directory lock, released by the operating system when the process ends.

    .lock                in the directory
    .DIRECTORY.lock      beside the directory: held until `.lock` is acquired

Holding `.DIRECTORY.lock` lets a process create a directory and acquire `.lock` in it before any
other process does. A lock file names its holder and purpose, and is removed on release. On a file
system without `flock`, the lock file is filelock's own, and `.lock.use` contains the purpose.
"""

import errno
import os
import platform
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import cannot_write, check_place, finish_publish
from microgpt.files.regular_file import read_regular_file
from microgpt.printable import printable

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"
SHORT_USE = "being written"  # purpose of a short-lived lock
WAIT_S = 30.0  # maximum wait for each holder of a short-lived lock
SETTLE_S = 0.2  # delay before reporting the holder, because the process may have just ended
MAX_PAUSE_S = 0.05


class DirectoryLock:
    """An exclusive lock on a directory, held until it is released or the process ends."""

    def __init__(self, directory: Path, use: str = SHORT_USE, *, exists: bool = False) -> None:
        """Lock a directory, and complete the write of a previous holder that was killed.

        The directory need not exist; missing parent directories are created. If another process is
        writing to the directory, wait until it has finished.

        Args:
            use: purpose, shown to other processes as "{use} by process …".
            exists: whether the directory must exist. If so, no lock file is created beside it, as
                a killed process would leave that file behind.

        Raises:
            CheckpointError: another process holds the lock, or the directory cannot be written.
        """
        self._directory = directory
        self._use = f"{use} by process {os.getpid()} on {platform.node()}"
        path = Path(os.path.realpath(directory))
        self._path = path / LOCK
        self._gate: BaseFileLock | None = None
        self._lock: BaseFileLock | None = None
        try:
            check_place(directory)
            if not exists:
                self._enter_gate(path)
            self.enter()
            if not self._lock and not self._gate:  # another process removed the directory
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            finish_publish(directory)
        except OSError as error:
            self.release()
            raise cannot_write(directory, error) from error
        except BaseException:
            self.release()
            raise

    def enter(self) -> None:
        """Acquire `.lock` if the directory exists, and release the lock file beside it."""
        if self._lock is None and self._path.parent.is_dir():
            try:
                self._lock = self._acquire(self._path)
            except OSError as error:  # such as no free inodes
                raise cannot_write(self._directory, error) from error
            _release(self._gate)
            self._gate = None

    def release(self) -> None:
        """Release the lock."""
        _release(self._lock)
        _release(self._gate)
        self._lock = self._gate = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.release()

    def _enter_gate(self, path: Path) -> None:
        """Acquire the lock file beside the directory."""
        exists = os.path.isdir(path)
        if not exists:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._gate = self._acquire(path.parent / f".{path.name}{LOCK}")
        except OSError:
            if not exists:  # the parent of an existing directory may be read-only
                raise

    def _acquire(self, path: Path) -> "BaseFileLock":
        from filelock import Timeout  # lazy import, because readers need no lock

        lock = _lock_type(path.parent)(path, thread_local=False)
        held, since, pause = None, 0.0, 0.001
        while True:
            with suppress(Timeout):
                lock.acquire(timeout=0)
                break
            held_before, held = held, _holder(_use_path(lock))
            now = time.monotonic()
            if held != held_before:
                since = now
            use = held[1]
            if now - since > (WAIT_S if use.startswith(SHORT_USE) else SETTLE_S):
                remedy = "or use another directory"
                if _use_path(lock) != path:  # filelock cannot always replace a dead holder's file
                    remedy = f"use another directory, or remove {path} if that process has ended"
                raise CheckpointError(f"{self._directory} is {use}; try again later, {remedy}")
            time.sleep(pause)
            pause = min(1.5 * pause, MAX_PAUSE_S)
        with suppress(OSError):  # if the disk is full, the lock file is left empty
            _use_path(lock).write_text(self._use)
        return lock


def _lock_type(directory: Path) -> "type[BaseFileLock]":
    """Return the type of lock that the file system of a directory has.

    FileLock falls back to SoftFileLock only where flock fails with ENOSYS. On a network it can also
    fail with ENOLCK or EOPNOTSUPP, and FileLock has then already created the file.
    """
    from filelock import FileLock, SoftFileLock

    if sys.platform != "win32":
        import fcntl

        with TemporaryFile(dir=directory) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return SoftFileLock
    return FileLock


def _release(lock: "BaseFileLock | None") -> None:
    """Release a lock and remove its file.

    The file is removed before the lock is released: another process that has already opened the
    file then detects in `filelock` that the file was unlinked, and retries. Windows cannot remove
    open files, so on Windows `filelock` removes the file after the release.
    """
    if lock:
        with suppress(OSError):
            os.unlink(_use_path(lock))
        lock.release()


def _use_path(lock: "BaseFileLock") -> Path:
    """Return the path of the file that names the holder of a lock and its purpose."""
    from filelock import SoftFileLock  # its content tells filelock whether the holder still lives

    return Path(lock.lock_file + ".use" * isinstance(lock, SoftFileLock))


def _holder(path: Path) -> tuple[tuple[int, int], str]:
    """Return an ID (inode and time) and a description of the current holder of a lock."""
    try:
        facts = os.stat(path)
        text = read_regular_file(path, 1000).decode(errors="replace")
        return (facts.st_ino, facts.st_mtime_ns), printable(text) or UNKNOWN
    except OSError:
        return (0, 0), UNKNOWN


UNKNOWN = f"{SHORT_USE} by another process"
