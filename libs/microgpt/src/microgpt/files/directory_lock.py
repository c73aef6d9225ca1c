"""Exclusive directory lock, released by the operating system when the process ends.

The lock is filelock's, on the file `.lock` in the directory, which names its holder. A directory
that does not exist is created. On release, the file is removed, and a new directory if it is empty.
"""

import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import cannot_write, check_place, finish_publish
from microgpt.files.regular_file import read_regular_file
from microgpt.printable_text import printable

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK = ".lock"
SHORT_USE = "being written"  # purpose of a short-lived lock
WAIT_S = 60.0  # maximum wait for the holders of short-lived locks
SETTLE_S = 0.2  # delay before reporting another holder, because the process may have just ended
POLL_S = 0.005
MAX_REMOVALS = 100  # maximum number of times that other holders remove a new directory


class DirectoryLock:
    """An exclusive lock on a directory, held until it is released or the process ends."""

    def __init__(self, directory: Path, use: str = SHORT_USE) -> None:
        """Lock a directory, and complete the write of a previous holder that was killed.

        If another process is writing to the directory, wait until it has finished.

        Args:
            use: purpose, shown to other processes as "{use} by process …".

        Raises:
            CheckpointError: another process holds the lock, or the directory cannot be written.
        """
        self.path, self._is_new = directory, False
        self._lock: BaseFileLock | None = None
        try:
            check_place(directory)
            self._is_new = not os.path.isdir(directory)
            self._lock = self._acquire()
            if self._names_holder:
                with suppress(OSError):  # if the disk is full, the lock file is left empty
                    use = f"{use} by process {os.getpid()} on {platform.node()}"
                    (directory / LOCK).write_text(use)
            finish_publish(directory)
        except BaseException as error:
            self.release()
            if isinstance(error, OSError):
                raise cannot_write(directory, error) from error
            raise

    def release(self) -> None:
        """Release the lock, and remove its file."""
        if self._lock:
            # A process that has already opened the file detects in `filelock` that it was unlinked,
            # and retries. Windows cannot remove open files; there, `filelock` does so afterwards.
            if self._names_holder:
                with suppress(OSError):
                    os.unlink(self.path / LOCK)
            self._lock.release()
            self._lock = None
        if self._is_new:
            with suppress(OSError):  # there are files
                self.path.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _acquire(self) -> "BaseFileLock":
        from filelock import (  # lazy import, because readers need no lock
            FileLock,
            SoftFileLock,
            Timeout,
        )

        lock = FileLock(self.path / LOCK, thread_local=False, poll_interval=POLL_S)
        end, n_removals = time.monotonic() + WAIT_S, 0
        while True:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=SETTLE_S)
                # Without `flock`, the content of the file is filelock's own.
                self._names_holder = not isinstance(lock, SoftFileLock)
                return lock
            except (FileExistsError, FileNotFoundError):
                # Another holder has just removed its new directory, or this one cannot be created.
                n_removals += 1
                if n_removals > MAX_REMOVALS:
                    raise
            except Timeout as timeout:
                use = self._use()
                if not use.startswith(SHORT_USE) or time.monotonic() > end:
                    raise CheckpointError(
                        f"{self.path} is {use}; try again later, or use another directory"
                    ) from timeout

    def _use(self) -> str:
        """Return the purpose and the holder of the lock."""
        text = ""
        with suppress(OSError):
            content = read_regular_file(self.path / LOCK, 1000)
            text = printable(content.decode(errors="replace"))
        return text if " by process " in text else f"{SHORT_USE} by another process"
