import errno
import os

import pytest

from microgpt.files.regular_file import read_regular_file


def test_regular_files_and_links_to_them_can_be_read(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    assert read_regular_file(tmp_path / "file", 3) == b"abc"
    assert read_regular_file(tmp_path / "link", 3) == b"abc"


def test_pipes_and_devices_are_refused_without_blocking(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular_file(path, 10)


def test_a_directory_is_refused_without_leaking_a_descriptor(tmp_path):
    free = os.dup(0)
    os.close(free)
    with pytest.raises(IsADirectoryError):
        read_regular_file(tmp_path, 10)
    again = os.dup(0)
    os.close(again)
    assert again == free


def test_a_sparse_file_is_refused_by_its_size(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(OSError, match="larger than 1,000 bytes") as error:
        read_regular_file(tmp_path / "sparse", 1000)
    assert error.value.errno == errno.EFBIG


def test_reading_a_file_of_unknown_size_stops_at_the_limit():
    with pytest.raises(OSError, match="larger than 4 bytes"):  # /proc says 0 bytes
        read_regular_file("/proc/self/status", 4)
