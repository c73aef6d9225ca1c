"""Tests that machine code is cached, and reused unless its file is damaged or not trusted."""

import os
import runpy
import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import numba
import numpy as np
import pytest

from microgpt.errors import ConfigError
from microgpt.plugins import on_compiling
from microgpt_engine import kernel_cache as compiling
from microgpt_engine.kernel_cache import EntryPoint

DOUBLE = f"{__name__}:double"
COMPILING = compiling.COMPILING
LAYOUT = compiling._layout((np.array([1.0]),))
REFUSED = ["{file} is damaged and not used"]


def double(x):  # compiled by Numba
    for i in range(x.size):
        x[i] *= 2


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs `double` like a new process; it returns the result and the messages."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))

    def run(dtype: str = "float64") -> tuple[list[float], list[str]]:
        told: list[str] = []
        x = np.array([1, 2], dtype)
        with on_compiling(told.append):
            EntryPoint(DOUBLE)(x)
        return x.tolist(), told

    return run


@pytest.fixture(scope="module")
def first_run(tmp_path_factory) -> Path:
    """The machine-code file that a first run writes to its cache, compiled once for all tests."""
    cache = tmp_path_factory.mktemp("first-run") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(cache))
        EntryPoint(DOUBLE)(np.array([1.0]))
    (file,) = cache.iterdir()
    return file


@pytest.fixture
def file(first_run, tmp_path) -> Path:
    """A copy of the machine-code file `first_run`, in the cache that `run` uses."""
    (tmp_path / "cache").mkdir(0o700)
    return Path(shutil.copy2(first_run, tmp_path / "cache"))


@pytest.fixture
def umask() -> Iterator[None]:
    """Make new files and directories writable by the group, as by default on many systems."""
    before = os.umask(0o002)
    yield
    os.umask(before)


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").iterdir())


def test_machine_code_is_compiled_once_and_later_read_from_disk(run, tmp_path, monkeypatch) -> None:
    assert run() == ([2, 4], [COMPILING])
    assert len(files(tmp_path)) == 1
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")  # this setting must not change machine code
    assert run() == ([2, 4], [])


def test_a_truncated_machine_code_file_is_never_loaded(file) -> None:
    whole = file.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(file.parent))
        assert compiling.read_kept(DOUBLE, LAYOUT)
        for end in range(0, len(whole), 100):
            file.write_bytes(whole[:end])
            assert compiling.read_kept(DOUBLE, LAYOUT) is None


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    "changes",
    [
        {"llvmlite.__version__": "0.1"},
        {"simd.NAME": "m5"},
        {"simd.FEATURES": "+neon"},
        {"_sources": lambda: "new", "_IMPORTED": "new"},
        {"NUMBA_OPT": "1"},
    ],
)
def test_code_of_another_version_cpu_or_setting_is_recompiled(
    run, tmp_path, monkeypatch, changes
) -> None:
    for name, value in changes.items():
        if name == "NUMBA_OPT":
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.setattr(f"microgpt_engine.kernel_cache.{name}", value)
    assert run()[1] == [COMPILING]
    assert len(files(tmp_path)) == 2


def test_machine_code_is_cached_separately_for_each_order_of_tuple_fields() -> None:
    kinds = [namedtuple("Settings", names) for names in ("beta1 beta2", "beta2 beta1")]
    one, other = (compiling._layout((np.zeros(1), kind(0.85, 0.99))) for kind in kinds)
    assert one != other


def test_code_is_not_cached_if_its_sources_changed_after_import(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(compiling, "_sources", lambda: "as a git pull has left them")
    assert run() == ([2, 4], [COMPILING])
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("umask")
def test_the_cache_is_writable_only_by_its_owner(run, tmp_path) -> None:
    run()
    (file,) = files(tmp_path)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "cache", file)] == [0o700, 0o600]


@pytest.mark.usefixtures("umask")
def test_the_default_cache_directory_is_made_private(run, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(compiling, "user_cache_path", lambda *args, **options: tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    assert run() == ([2, 4], [COMPILING])
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert run() == ([2, 4], [])


def make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    ("spoil", "refusals"),
    [
        (lambda file: file.write_bytes(b"x"), REFUSED),
        (lambda file: file.chmod(0o620), []),
        (lambda file: file.chmod(0o602), []),
        (make_pipe, REFUSED),
    ],
    ids=["damaged", "group", "others", "pipe"],
)
def test_a_damaged_or_unsafe_machine_code_file_is_recompiled(run, file, spoil, refusals) -> None:
    spoil(file)
    assert run() == ([2, 4], [*(line.format(file=file) for line in refusals), COMPILING])
    assert run() == ([2, 4], [])  # the damaged file was replaced


def test_a_renamed_machine_code_file_is_never_loaded(run, file) -> None:
    """The machine code in a renamed file could be for other arguments or another processor."""
    run("float32")
    (other,) = set(file.parent.iterdir()) - {file}
    other.replace(file)
    assert run() == ([2, 4], [f"{file} is damaged and not used", COMPILING])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs chown")
def test_only_machine_code_of_the_user_or_root_is_loaded(run, file, monkeypatch) -> None:
    os.chown(file, 12345, -1)
    assert run() == ([2, 4], [COMPILING])
    assert file.stat().st_uid == os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert run() == ([2, 4], [])  # accepted, because root owns it, as in many containers


def reason(run) -> str:
    """Run code that is compiled but not cached, and return the reported reason."""
    result, (first, second) = run()
    assert (result, first) == ([2, 4], COMPILING)
    assert "set NUMBA_CACHE_DIR to another directory" in second
    return second.partition("(")[2].partition(")")[0]


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize("foreign", [False, True])
def test_a_cache_that_other_users_can_write_to_is_not_used(run, tmp_path, foreign) -> None:
    (tmp_path / "cache").chmod(0o700 if foreign else 0o770)
    if foreign:
        if os.geteuid() != 0:
            pytest.skip("needs chown")
        os.chown(tmp_path / "cache", 12345, -1)
    assert reason(run) == f"{tmp_path / 'cache'}: writable by other users"
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    ("configured", "default", "why"),
    [
        ("cache", None, "cache: not an absolute path"),
        ("", Path("~/.cache"), "~/.cache: not an absolute path"),
        ("", RuntimeError("could not determine the home directory"), "there is no home directory"),
    ],
)
def test_a_cache_without_an_absolute_path_is_not_used(
    run, tmp_path, monkeypatch, configured, default, why
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NUMBA_CACHE_DIR", configured)
    monkeypatch.setattr(compiling, "user_cache_path", Mock(side_effect=[default] * 9))
    assert reason(run) == why
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("file")
def test_only_our_own_old_files_are_removed_from_the_cache(run, tmp_path) -> None:
    old = tmp_path / "cache" / "microgpt-double-0123"
    broken_off = tmp_path / "cache" / ".microgpt-double-0123.4567"
    other = tmp_path / "cache" / "somebody-elses"
    for file in (old, broken_off, other):
        file.touch()
        os.utime(file, (0, 0))
    run("float32")
    assert not old.exists()
    assert not broken_off.exists()
    assert other.exists()
    assert len(files(tmp_path)) == 3


def test_a_disabled_numba_compiler_raises_a_config_error(monkeypatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(ConfigError, match="NUMBA_DISABLE_JIT is set; unset it or use"):
        runpy.run_path(str(Path(compiling.__file__).with_name("compiler.py")))


def test_numba_cache_dir_overrides_the_default_cache_directory(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiling.cache_directory() == tmp_path / "microgpt"
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert compiling.cache_directory() == Path("/elsewhere")


def test_machine_code_can_be_kept_only_in_a_directory(monkeypatch, tmp_path) -> None:
    (tmp_path / "file").touch()
    for path, can in ((tmp_path / "new", True), (tmp_path / "file", False)):
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(path))
        assert compiling.can_be_kept() is can
