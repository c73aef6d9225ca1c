"""Atomic writes to a directory, directory locks, and reads of possibly untrusted files.

    .saving    files that are being written; `.saving-UUID` if the writer does not hold the lock
    .saved     committed files that are being moved to their final paths
    .lock      the lock, with the name of its holder; the system releases it when the process ends

Renaming `.saving` to `.saved` commits all files at once; this requires the directory's lock.
Readers need no lock: `read_committed` returns the current content of a file.
"""

import errno
import os
import platform
import shlex
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from microgpt.errors import CheckpointError, ConfigError, MicrogptError
from microgpt.formatting import printable

if TYPE_CHECKING:
    from filelock import BaseFileLock

SAVING, SAVED, LOCK = ".saving", ".saved", ".lock"  # renaming SAVING to SAVED commits the files
FULL_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # full disk, quota, file-size limit
MAX_READS = 100  # maximum number of reads while other processes replace files
SHORT_USE = "being written"  # purpose of a short-lived lock
WAIT_S = 60.0  # maximum wait for the holders of short-lived locks
SETTLE_S = 0.2  # delay before reporting another holder, because its process could be ending
POLL_S = 0.005
MAX_REMOVALS = 100  # maximum number of retries after another holder removed the directory
T = TypeVar("T")


class FullDiskError(CheckpointError):
    """The disk is full, which is a system failure, not invalid input."""


def publish(directory: Path, files: Mapping[str, bytes], *, is_held: bool = False) -> None:
    """Write files to a directory, each atomically.

    Args:
        is_held: whether the caller holds the directory's lock. If so, readers see all files change
            at once, even if the process is killed.

    Raises:
        CheckpointError: the files cannot be written. If the disk is full, no file has changed.
    """
    try:
        for path in (directory / name for name in files):
            if path.exists() and not path.is_file():  # `os.replace` would replace even a device
                what = "a directory" if path.is_dir() else "not a regular file"
                raise CheckpointError(f"{path} is {what}; use another path")
        staging = directory / (SAVING if is_held else f"{SAVING}-{uuid.uuid4().hex}")
        staging.mkdir(parents=True)  # tempfile.mkdtemp would make the directory private
        try:
            for name, content in files.items():
                with (staging / name).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            _sync_directory(staging)
            _move(staging.rename(directory / SAVED) if is_held else staging, directory)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)  # SAVED is kept, as it is committed
            raise
    except OSError as error:
        raise cannot_write(directory, error, sum(map(len, files.values()))) from error


def check_is_directory(path: Path, remedy: str) -> None:
    """Raise CheckpointError, with a remedy, unless the path is a directory."""
    exists = os.path.exists(path)  # must precede isdir: a save could create the path in between
    if not os.path.isdir(path):  # unlike os.path.isdir, Path.is_dir can raise OSError
        what = "is not a directory" if exists else "does not exist"
        raise CheckpointError(f"{path} {what}; {remedy}")


def committed_path(directory: Path, name: str) -> Path:
    """Return the path of a committed file: in `.saved` until it is moved, then the final path."""
    saved = directory / SAVED / name
    return saved if os.path.lexists(saved) else directory / name


def read_committed(directory: Path, name: str, max_bytes: int) -> bytes:
    """Return the content of a committed file, even if it is moved while it is being opened."""
    with suppress(OSError):
        return read_regular_file(directory / SAVED / name, max_bytes)
    return read(directory / name, max_bytes)


def finish_publish(directory: Path) -> None:
    """Complete the `publish` call of a killed process, if any. The caller must hold the lock."""
    saved = directory / SAVED
    if os.path.isdir(saved) and not os.path.islink(saved):  # do not follow a symlink
        _move(saved, directory)
    shutil.rmtree(directory / SAVING, ignore_errors=True)


def read_consistently(directory: Path, read: Callable[[], T]) -> T:
    """Call `read` and return the result; retry if it fails while files are being replaced."""
    for _ in range(MAX_READS):
        before = _versions(directory)
        try:
            return read()
        except CheckpointError:
            if _versions(directory) == before:
                raise
    return read()


def read(
    path: str | Path, max_bytes: int, error_type: type[MicrogptError] = CheckpointError
) -> bytes:
    """Read a regular file; raise error_type if it cannot be read or exceeds max_bytes."""
    try:
        return read_regular_file(path, max_bytes)
    except OSError as error:
        raise error_type(f"cannot read {path}: {error.strerror}") from error


def read_regular_file(path: str | Path, max_bytes: int) -> bytes:
    """Return the content of a possibly untrusted regular file. Symlinks are followed.

    Raise OSError if the file exceeds max_bytes, or is a directory, a device or a FIFO.
    """
    with open(path, "rb", opener=open_at_once) as file:  # raises OSError for a directory
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        content = file.read() if facts.st_size <= max_bytes else b""
    if max(facts.st_size, len(content)) > max_bytes:  # st_size is 0 in /proc, so count the content
        raise OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes", str(path))
    return content


def open_at_once(path: str, flags: int) -> int:
    """Open a file without blocking if it is a FIFO; return the file descriptor."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def cannot_write(directory: Path, error: OSError, n_bytes: int = 0) -> CheckpointError:
    """Return a CheckpointError for a failed write of n_bytes bytes (0 if the size is unknown)."""
    problem = f"cannot write to {directory}: {error.strerror}"
    if error.errno in FULL_DISK_ERRNOS:
        return FullDiskError(f"{problem}; needs {n_bytes:,} bytes" if n_bytes else problem)
    return CheckpointError(f"{problem}; use another directory")


def as_argument(path: Path) -> str:
    """Quote a path for use as a shell argument."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def recorded_path(path: str | Path) -> str:
    """Return an absolute path to record in JSON; raise ConfigError if it is not valid Unicode."""
    text = os.path.abspath(path)
    if text != text.encode(errors="replace").decode():
        raise ConfigError(f"the path {text!r:.80} is not valid Unicode; rename the file or folder")
    return text


class DirectoryLock:
    """An exclusive lock on a directory, held until it is released or the process ends."""

    def __init__(self, directory: Path, use: str = SHORT_USE) -> None:
        """Lock a directory, and complete the write of a previous holder that was killed.

        If another process is writing to the directory, wait until it has finished. Error messages
        of other processes show `use` as "{use} by process …".
        """
        self.path, self._is_new = directory, False
        self._lock: BaseFileLock | None = None
        try:
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
        """Release the lock and remove its file; remove a directory that is new and still empty."""
        if self._lock:
            # If another process has already opened the file, its `filelock` detects the removal and
            # retries. Windows cannot remove open files; there, `filelock` removes them afterwards.
            if self._names_holder:
                with suppress(OSError):
                    os.unlink(self.path / LOCK)
            self._lock.release()
            self._lock = None
        if self._is_new:
            with suppress(OSError):  # raised if the directory is not empty
                self.path.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _acquire(self) -> "BaseFileLock":
        from filelock import FileLock, SoftFileLock, Timeout  # lazy import: readers need no lock

        lock = FileLock(self.path / LOCK, thread_local=False, poll_interval=POLL_S)
        end, n_removals = time.monotonic() + WAIT_S, 0
        while True:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=SETTLE_S)
                # A `SoftFileLock` writes its own content to the lock file, so no holder is named.
                self._names_holder = not isinstance(lock, SoftFileLock)
                return lock
            except (FileExistsError, FileNotFoundError):
                # The directory cannot be created, or another process has just removed it.
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
            text = printable(read_regular_file(self.path / LOCK, 1000).decode(errors="replace"))
        return text if " by process " in text else f"{SHORT_USE} by another process"


def _move(staging: Path, directory: Path) -> None:
    """Move the files of a staging directory to the final paths, then remove the directory."""
    for path in staging.iterdir():
        os.replace(path, directory / path.name)
    staging.rmdir()
    _sync_directory(directory)


def _versions(directory: Path) -> list[tuple[str, int, int]]:
    """Return the path, inode and modification time of each file, to detect changes."""
    found = []
    for folder in (directory, directory / SAVED):
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                facts = entry.stat(follow_symlinks=False)
                found.append((entry.path, facts.st_ino, facts.st_mtime_ns))
    return sorted(found)


def _sync_directory(directory: Path) -> None:
    """Sync a directory to disk, if supported, so that new file names survive a power failure."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
