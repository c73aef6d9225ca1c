import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import FullDiskError
from microgpt.files.directory_lock import DirectoryLock

HOLD = """
import errno, fcntl, os, sys
from pathlib import Path
from microgpt.files.directory_lock import DirectoryLock

def flock(fd, how):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

if len(sys.argv) > 2:
    fcntl.flock = flock
lock = DirectoryLock(Path(sys.argv[1]), "being trained")
print("ready", flush=True)
sys.stdin.read()
"""


def no_flock(fd: int, how: int) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.filterwarnings("ignore:flock not supported")
@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("has_flock", [True, False])
def test_a_killed_process_leaves_no_lock_even_without_flock(
    tmp_path: Path, monkeypatch, is_new, has_flock
) -> None:
    directory = tmp_path / "model"
    if not is_new:
        directory.mkdir()
    monkeypatch.setattr("microgpt.files.directory_lock.WAIT_S", 0)
    if not has_flock:
        monkeypatch.setattr(fcntl, "flock", no_flock)
    command = [sys.executable, "-c", HOLD, directory, *([] if has_flock else ["none"])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as holder:
        holder.stdout.readline()
        use = f"trained by process {holder.pid}" if has_flock else "written by another process"
        with pytest.raises(CheckpointError, match=rf"model is being {use}.*; try again later"):
            DirectoryLock(directory)
        holder.kill()
    with DirectoryLock(directory):
        pass
    assert list(tmp_path.rglob("*")) == [directory]


def test_a_disk_without_free_inodes_raises_a_full_disk_error(tmp_path: Path, monkeypatch) -> None:
    def no_inode(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("filelock._unix.os.open", no_inode)
    with pytest.raises(FullDiskError, match="model: No space left on device"):
        DirectoryLock(tmp_path / "model")
    assert not any(tmp_path.iterdir())
