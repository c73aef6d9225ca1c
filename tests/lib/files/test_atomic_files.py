import os

import pytest

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import SAVED, SAVING, finish_publish, publish


@pytest.mark.parametrize("name", [SAVING, SAVED])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_link_in_place_of_a_staging_directory_is_not_followed(tmp_path, name, kind) -> None:
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


def test_a_file_in_place_of_a_directory_is_named_and_kept(tmp_path) -> None:
    (tmp_path / "names").write_bytes(b"anna")
    with pytest.raises(CheckpointError, match="names is a file, not a directory; use another path"):
        publish(tmp_path / "names" / "model", {"a": b"1"})
    assert (tmp_path / "names").read_bytes() == b"anna"


def test_files_are_synced_after_their_contents_are_written(tmp_path, monkeypatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    publish(tmp_path, {"a": b"123456789"})
    assert 9 in synced


def test_a_pipe_or_a_device_is_not_replaced(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="pipe is not a regular file; use another path"):
        publish(tmp_path, {"pipe": b"1"})
    assert (tmp_path / "pipe").is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]
