"""Directory lock: exclusive, and released by the operating system when its process ends.

    .lock                in the directory, while it is held
    .DIRECTORY.lock      beside it, until it exists, and for a moment whenever `.lock` is taken

The second one lets a process make a directory and then take its `.lock` before any other does. A
lock file says who holds it and why; it is removed on release.
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
SHORT_USE = "being written"  # of a directory, by a process that will not take long
WAIT_S = 30.0  # for one such process; with many at once the next one has as long again
SURE_S = 0.2  # after which a name in a lock file is not that of a process that has just died
MAX_PAUSE_S = 0.05


class DirectoryLock:
    """An exclusive lock on a directory, held until it is released or the process ends."""

    def __init__(self, directory: Path, use: str = SHORT_USE, *, is_there: bool = False) -> None:
        """Lock a directory, and finish what a killed holder of the lock has begun to write.

        It need not exist; its parents are made. A process that is writing it is waited for. Other
        processes are told that the directory is "{use} by process …". If is_there, the directory
        exists, and no lock file is made beside it, which a killed process would leave.

        Raises:
            CheckpointError: another process holds it for longer, or it cannot be written.
        """
        self._directory = directory
        self._use = f"{use} by process {os.getpid()} on {platform.node()}"
        path = Path(os.path.realpath(directory))
        self._path = path / LOCK
        self._gate: FileLock | None = None
        self._lock: FileLock | None = None
        try:
            check_place(directory)
            if not is_there:
                self._enter_gate(path)
            self.enter()
            if not self._lock and not self._gate:  # it was removed meanwhile
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            finish_publish(directory)
        except OSError as error:
            self.release()
            raise cannot_write(directory, error) from error
        except BaseException:
            self.release()
            raise

    def enter(self) -> None:
        """Take `.lock`, if the directory has come to exist, in place of the file beside it."""
        if self._lock is None and self._path.parent.is_dir():
            self._lock = self._acquire(self._path)
            _release(self._gate)
            self._gate = None

    def release(self) -> None:
        """Let another process lock the directory."""
        _release(self._lock)
        _release(self._gate)
        self._lock = self._gate = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.release()

    def _enter_gate(self, path: Path) -> None:
        """Take the lock beside a directory, so that it can be made."""
        exists = os.path.isdir(path)
        if not exists:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._gate = self._acquire(path.parent / f".{path.name}{LOCK}")
        except OSError:
            if not exists:  # else its parent may belong to somebody else
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
            if now - since > (WAIT_S if use.startswith(SHORT_USE) else SURE_S):
                raise CheckpointError(
                    f"{self._directory} is {use}; wait for it, or name another directory"
                )
            time.sleep(pause)
            pause = min(1.5 * pause, MAX_PAUSE_S)
        with suppress(OSError):  # on a full disk it has no name
            path.write_text(self._use)
        return lock


def _release(lock: FileLock | None) -> None:
    """Release a lock and remove its file.

    The file goes first: a process that has opened it, and locks it later, sees that it has no name
    any more (`filelock` checks this) and begins anew. Windows does not remove open files; there
    `filelock` does it afterwards.
    """
    if lock:
        with suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()


def _holder(path: Path) -> tuple[tuple[int, int], str]:
    """Return what tells one holder of a lock from the next, and who it is."""
    try:
        facts = os.stat(path)
        text = read_regular_file(path, 1000).decode(errors="replace")
        return (facts.st_ino, facts.st_mtime_ns), printable(text) or UNKNOWN
    except OSError:
        return (0, 0), UNKNOWN


UNKNOWN = f"{SHORT_USE} by another process"
