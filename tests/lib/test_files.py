import errno
import fcntl
import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest

from microgpt.errors import CheckpointError, ConfigError
from microgpt.files import (
    SAVED,
    SAVING,
    DirectoryLock,
    FullDiskError,
    finish_publish,
    publish,
    read_regular_file,
    recorded_path,
)


@pytest.mark.parametrize("name", [SAVING, SAVED])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_publish_refuses_a_file_or_link_as_a_staging_directory(tmp_path, name, kind) -> None:
    directory, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    publish(directory, {"a": b"1"})
    elsewhere.mkdir()
    (elsewhere / "b").write_bytes(b"2")
    if kind == "file":
        (directory / name).write_bytes(b"3")
    else:
        (directory / name).symlink_to(elsewhere)
    finish_publish(directory)
    with pytest.raises(CheckpointError, match=r"cannot write to .*model.*; use another dir"):
        publish(directory, {"a": b"4"}, is_held=True)
    assert {file.name for file in directory.iterdir()} == {"a", name}
    assert (directory / "a").read_bytes() == b"1"
    assert (elsewhere / "b").read_bytes() == b"2"


def test_files_are_synced_after_their_contents_are_written(tmp_path, monkeypatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    publish(tmp_path, {"a": b"123456789"})
    assert 9 in synced


def test_a_pipe_is_not_replaced_by_a_saved_file(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="pipe is not a regular file; use another path"):
        publish(tmp_path, {"pipe": b"1"})
    assert (tmp_path / "pipe").is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


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
    monkeypatch.setattr("microgpt.files.WAIT_S", 0)
    if not has_flock:
        monkeypatch.setattr(fcntl, "flock", no_flock)
    forks = get_context("fork")
    is_held = forks.Event()

    def hold() -> None:
        with DirectoryLock(directory, "being trained"):
            is_held.set()
            signal.pause()

    holder = forks.Process(target=hold)
    holder.start()
    assert is_held.wait(60)
    use = f"trained by process {holder.pid}" if has_flock else "written by another process"
    with pytest.raises(CheckpointError, match=rf"model is being {use}.*; try again later"):
        DirectoryLock(directory)
    holder.kill()
    holder.join()
    with DirectoryLock(directory):
        pass
    assert list(tmp_path.rglob("*")) == [directory]


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 * 2**30)


@pytest.mark.parametrize("make", [os.mkfifo, make_sparse])
def test_a_huge_lock_file_or_pipe_still_locks_and_is_removed(tmp_path, make, monkeypatch) -> None:
    monkeypatch.setattr("microgpt.files.WAIT_S", 0)
    make(tmp_path / ".lock")
    with DirectoryLock(tmp_path), pytest.raises(CheckpointError, match="being written by"):
        DirectoryLock(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_is_a_link_is_refused(tmp_path) -> None:
    (tmp_path / ".lock").symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match=f"cannot write to {tmp_path}"):
        DirectoryLock(tmp_path)


def test_a_disk_without_free_inodes_raises_a_full_disk_error(tmp_path: Path, monkeypatch) -> None:
    def no_inode(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("filelock._unix.os.open", no_inode)
    with pytest.raises(FullDiskError, match="model: No space left on device"):
        DirectoryLock(tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_a_recorded_path_is_absolute_and_valid_unicode(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert recorded_path("ä 100%.txt") == f"{tmp_path}/ä 100%.txt"
    with pytest.raises(ConfigError, match=r"'/n\\udcff' is not valid Unicode; rename"):
        recorded_path(os.fsdecode(b"/n\xff"))


def test_regular_files_and_links_to_them_can_be_read(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    assert read_regular_file(tmp_path / "file", 3) == b"abc"
    assert read_regular_file(tmp_path / "link", 3) == b"abc"


def test_a_directory_is_refused_without_leaking_a_descriptor(tmp_path):
    free = os.dup(0)
    os.close(free)
    with pytest.raises(IsADirectoryError):
        read_regular_file(tmp_path, 10)
    again = os.dup(0)
    os.close(again)
    assert again == free


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (make_sparse, "larger than 4 bytes"),
        (lambda path: path.symlink_to("/proc/self/status"), "larger than 4 bytes"),
    ],
    ids=["pipe", "device", "sparse", "unknown size"],
)
def test_a_pipe_device_or_large_file_is_refused_without_blocking(tmp_path, make, problem) -> None:
    make(tmp_path / "file")
    with pytest.raises(OSError, match=problem):
        read_regular_file(tmp_path / "file", 4)
