from pathlib import Path

import pytest
from commands import refused


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    folder = tmp_path / "kernels"
    folder.mkdir()
    for name in ("microgpt-decode-01", "microgpt-take_steps-23", "somebody-elses"):
        (folder / name).write_bytes(bytes(2000))
    return folder


def test_cache_lists_the_compiled_files(microgpt, kernels) -> None:
    done = microgpt("cache", NUMBA_CACHE_DIR=str(kernels))
    first, second, total = done.stdout.splitlines()
    assert first.split()[:4] == ["decode", "2", "kB", "used"]
    assert second.startswith("take_steps ")
    assert total == f"2 files, 0.0 MB in {kernels}"


def test_cache_removes_the_compiled_files(microgpt, kernels) -> None:
    done = microgpt("cache", "--clear", NUMBA_CACHE_DIR=str(kernels))
    assert done.stdout == f"removed 2 files, 0.0 MB from {kernels}\n"
    assert [file.name for file in kernels.iterdir()] == ["somebody-elses"]
    empty = microgpt("cache", NUMBA_CACHE_DIR=str(kernels / "none"))
    assert empty.stdout == f"0 files, 0.0 MB in {kernels / 'none'}\n"


def test_a_relative_cache_directory_is_refused(microgpt) -> None:
    assert (
        refused(microgpt("cache", NUMBA_CACHE_DIR="here"))
        == "cannot use here: not an absolute path"
    )
