"""Exclusive directory lock, released by the operating system when its process ends.

    .lock                in the directory, while it is held
    .DIRECTORY.lock      beside it, until it exists, and briefly whenever `.lock` is taken

The second one lets a process create a directory and take its `.lock` before any other process. A
lock file names its holder and purpose; it is removed on release.
"""

import errno
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import cannot_write, check_place, finish_publish
from microgpt.files.regular_file import read_regular_file
from microgpt.printable import printable

LOCK = ".lock"
SHORT_USE = "being written"  # the use of a short-lived lock
WAIT_S = 30.0  # per holder of a short-lived lock; restarts when the holder changes
SETTLE_S = 0.2  # then a name in a lock file is not that of a process that just died
MAX_PAUSE_S = 0.05


class DirectoryLock:
    """An exclusive lock on a directory, held until it is released or the process ends."""

    def __init__(self, directory: Path, use: str = SHORT_USE, *, exists: bool = False) -> None:
        """Lock a directory, and finish the write of a killed holder of the lock.

        It need not exist; its parents are created. A process that is writing it is waited for.
        Other processes report that the directory is "{use} by process …". If exists, the
        directory exists, and no lock file is created beside it, which a killed process would leave.

        Raises:
            CheckpointError: another process keeps the lock, or the directory cannot be written.
        """
        self._directory = directory
        self._use = f"{use} by process {os.getpid()} on {platform.node()}"
        path = Path(os.path.realpath(directory))
        self._path = path / LOCK
        self._gate: FileLock | None = None
        self._lock: FileLock | None = None
        try:
            check_place(directory)
            if not exists:
                self._enter_gate(path)
            self.enter()
            if not self._lock and not self._gate:  # the directory was removed meanwhile
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            finish_publish(directory)
        except OSError as error:
            self.release()
            raise cannot_write(directory, error) from error
        except BaseException:
            self.release()
            raise

    def enter(self) -> None:
        """Replace the lock file beside the directory by `.lock` once the directory exists."""
        if self._lock is None and self._path.parent.is_dir():
            self._lock = self._acquire(self._path)
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
        """Take the lock beside a directory before creating it."""
        exists = os.path.isdir(path)
        if not exists:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._gate = self._acquire(path.parent / f".{path.name}{LOCK}")
        except OSError:
            if not exists:  # the parent of an existing one may not be writable
                raise

    def _acquire(self, path: Path) -> FileLock:
        lock = FileLock(path, thread_local=False)
        held, since, pause = None, 0.0, 0.001
        while True:
            with suppress(Timeout):
                lock.acquire(timeout=0)
                break
            held_before, held = held, _holder(path)
            now = time.monotonic()
            if held != held_before:
                since = now
            use = held[1]
            if now - since > (WAIT_S if use.startswith(SHORT_USE) else SETTLE_S):
                raise CheckpointError(
                    f"{self._directory} is {use}; wait until it ends, or use another directory"
                )
            time.sleep(pause)
            pause = min(1.5 * pause, MAX_PAUSE_S)
        with suppress(OSError):  # on a full disk the lock file stays empty
            path.write_text(self._use)
        return lock


def _release(lock: FileLock | None) -> None:
    """Release a lock and remove its file.

    The file is removed first: a process that opened it and locks it later finds it unlinked
    (`filelock` checks this) and starts over. Windows does not remove open files; there `filelock`
    removes it afterwards.
    """
    if lock:
        with suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()


def _holder(path: Path) -> tuple[tuple[int, int], str]:
    """Return an identity of the lock's current holder, and its description."""
    try:
        facts = os.stat(path)
        text = read_regular_file(path, 1000).decode(errors="replace")
        return (facts.st_ino, facts.st_mtime_ns), printable(text) or UNKNOWN
    except OSError:
        return (0, 0), UNKNOWN


UNKNOWN = f"{SHORT_USE} by another process"
