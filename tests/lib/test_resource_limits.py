"""Free memory and CPUs, as machine and control groups leave them; in a made-up /sys and /proc."""

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from microgpt import resource_limits as limits
from microgpt.errors import ConfigError
from microgpt.resource_limits import check_memory, free_bytes, map_in_threads, n_cpus

MB = 2**20
MACHINE = 4000  # MB


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    """The folder of control groups, on a machine with 4000 MB free, of eight CPUs for a process."""
    monkeypatch.setattr(limits, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(limits, "MEMBERSHIP", tmp_path / "self")
    available = SimpleNamespace(available=MACHINE * MB)
    monkeypatch.setattr("psutil.virtual_memory", lambda: available)
    monkeypatch.setattr(limits.sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path / "cgroup"


def group(directory: Path, limit: object, usage: int, cache: int = 0) -> None:
    """Make a control group, of so many MB."""
    directory.mkdir(parents=True, exist_ok=True)
    size = limit if isinstance(limit, str) else limit * MB
    (directory / "memory.max").write_text(f"{size}\n")
    (directory / "memory.current").write_text(f"{usage * MB}\n")
    stat = f"anon 1\ninactive_file {cache * MB}\ninactive_anon 2\n"
    (directory / "memory.stat").write_text(stat)


@pytest.mark.parametrize(
    ("membership", "groups", "free"),
    [
        ("0::/user/run", {"user/run": (600, 500, 100)}, 200),  # cached memory counts as free
        ("0::/a/b/c", {"a/b/c": ("max", 10), "a/b": (900, 10), "a": (600, 200)}, 400),
        ("0::/a/b", {"a/b": (900, 10), "a": (100, 200)}, 0),
        ("0::/h", {".": (600, 100)}, 500),  # a container sees the root of the mount
        ("", {".": ("max", 100)}, MACHINE),
        ("4:memory:/a", {}, MACHINE),
        ("0::/../x\n3:cpu:/", {}, MACHINE),
    ],
)
def test_the_smallest_limit_of_the_control_groups_applies(root, membership, groups, free) -> None:
    root.with_name("self").write_text(f"{membership}\n")
    for name, sizes in groups.items():
        group(root / name, *sizes)
    assert free_bytes() == free * MB


def test_more_memory_than_is_free_is_refused(root) -> None:
    root.with_name("self").write_text("0::/\n")
    group(root, 600, 400)
    with pytest.raises(ConfigError, match=r"needs 209,715,201 .*, but only 209,715,200 are"):
        check_memory(200 * MB + 1, "this")
    check_memory(200 * MB, "this")


@pytest.mark.parametrize(
    ("quota", "n"),
    [("max 100000", 8), ("300000 100000", 3), ("150000 100000", 2), ("5000 100000", 1),
     ("900000 100000", 8), ("garbage", 8)],
)  # fmt: skip
def test_a_cpu_quota_of_a_cgroup_is_rounded_up(root, quota, n) -> None:
    root.with_name("self").write_text("0::/a/b\n")
    (root / "a/b").mkdir(parents=True)
    (root / "a/cpu.max").write_text(f"{quota}\n")  # of the parent
    (root / "a/b/cpu.max").write_text("max 100000\n")
    assert n_cpus() == n


def test_the_cpu_affinity_is_used_if_there_are_no_cgroups(root) -> None:
    assert n_cpus() == 8


def test_an_error_in_one_thread_stops_the_other_threads() -> None:
    stopped = []

    def work(item: int, should_stop: threading.Event) -> int:
        if item == 0:
            raise ValueError("no")
        stopped.append(should_stop.wait(30))
        return item

    with pytest.raises(ValueError, match="no"):
        list(map_in_threads(work, range(4), 4))
    assert all(stopped)


def test_a_thread_of_the_pool_can_close_the_results() -> None:
    """As garbage collection does, wherever it runs."""
    may_close, closed = threading.Event(), threading.Event()

    def work(item: int, should_stop: threading.Event) -> int:
        if item:
            assert may_close.wait(30)
            results.close()
            closed.set()
        return item

    results = map_in_threads(work, range(2), 2)
    assert next(results) == 0
    may_close.set()
    assert closed.wait(30)
