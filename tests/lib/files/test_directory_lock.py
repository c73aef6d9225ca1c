import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from microgpt.errors import CheckpointError, FullDiskError
from microgpt.files.directory_lock import DirectoryLock

HOLD = """
import errno, fcntl, os, sys
from pathlib import Path
from microgpt.files.directory_lock import DirectoryLock

def flock(fd, how):
    number = getattr(errno, sys.argv[2])
    raise OSError(number, os.strerror(number))

fcntl.flock = flock
lock = DirectoryLock(Path(sys.argv[1]), "being trained")
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("is_new", "problem"),
    [(False, "ENOSYS"), (True, "ENOLCK")],
)
def test_a_killed_process_leaves_no_lock_even_without_flock(
    tmp_path: Path, monkeypatch, is_new, problem
) -> None:
    def no_flock(fd: int, how: int) -> None:
        raise OSError(getattr(errno, problem), "no locks")

    directory = tmp_path / "model"
    if not is_new:
        directory.mkdir()
    command = [sys.executable, "-W", "error", "-c", HOLD, str(directory), problem]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        pid = int(holder.stdout.readline())
        monkeypatch.setattr(fcntl, "flock", no_flock)
        remedy = r"or remove \S+\.lock if that process has ended"
        with pytest.raises(CheckpointError, match=rf"being trained by process {pid} .*{remedy}"):
            DirectoryLock(directory)
        holder.kill()
    with DirectoryLock(directory):
        pass
    assert [path.name for path in tmp_path.rglob("*") if path.name != "model"] == []


def test_a_disk_without_free_inodes_raises_a_full_disk_error(tmp_path: Path, monkeypatch) -> None:
    lock = DirectoryLock(tmp_path / "model")  # as a training run does: the directory comes later
    (tmp_path / "model").mkdir()

    def no_inode(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("filelock._unix.os.open", no_inode)
        with pytest.raises(FullDiskError, match="model: No space left on device"):
            lock.enter()
    lock.release()
