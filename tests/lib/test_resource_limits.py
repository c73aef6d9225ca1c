"""Free memory and CPUs, as machine and control groups leave them; in a made-up /sys and /proc."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from microgpt import resource_limits as limits
from microgpt.errors import ConfigError
from microgpt.resource_limits import check_memory, free_bytes, n_cpus

MB = 2**20
MACHINE = 4000 * MB


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    """The folder of control groups, on a machine with 4000 MB free."""
    monkeypatch.setattr(limits, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(limits, "MEMBERSHIP", tmp_path / "self")
    available = SimpleNamespace(available=MACHINE)
    monkeypatch.setattr("psutil.virtual_memory", lambda: available)
    return tmp_path / "cgroup"


def group(directory: Path, limit: object, usage: int, cache: int = 0) -> None:
    """Make a control group."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "memory.max").write_text(f"{limit}\n")
    (directory / "memory.current").write_text(f"{usage}\n")
    (directory / "memory.stat").write_text(f"anon 1\ninactive_file {cache}\ninactive_anon 2\n")


def member(root: Path, *lines: str) -> None:
    """Say which groups this process is in."""
    root.with_name("self").write_text("".join(f"{line}\n" for line in lines))


def test_cached_memory_counts_as_free_under_a_cgroup_limit(root) -> None:
    member(root, "0::/user/run")
    group(root / "user/run", 600 * MB, 500 * MB, cache=100 * MB)
    assert free_bytes() == 200 * MB
    with pytest.raises(ConfigError, match=r"needs 209,715,201 .*, but only 209,715,200 are"):
        check_memory(200 * MB + 1, "this")
    check_memory(200 * MB, "this")


def test_the_smallest_memory_limit_of_nested_cgroups_applies(root) -> None:
    member(root, "0::/a/b/c")
    group(root / "a/b/c", "max", 10 * MB)
    group(root / "a/b", 900 * MB, 10 * MB)
    group(root / "a", 600 * MB, 200 * MB)
    assert free_bytes() == 400 * MB
    group(root / "a", 100 * MB, 200 * MB)
    assert free_bytes() == 0


def test_a_container_uses_the_limit_at_the_root_of_the_mount(root) -> None:
    member(root, "0::/h")
    group(root, 600 * MB, 100 * MB)
    assert free_bytes() == 500 * MB


@pytest.mark.parametrize("lines", [[], ["0::/"], ["4:memory:/a"], ["0::/../x", "3:cpu:/"]])
def test_the_memory_of_the_machine_counts_if_there_is_no_limit(root, lines) -> None:
    assert free_bytes() == MACHINE
    member(root, *lines)
    assert free_bytes() == MACHINE
    group(root, "max", 100 * MB)
    (root / "memory.stat").write_text("garbage\n")
    assert free_bytes() == MACHINE


@pytest.fixture
def cpu_root(tmp_path: Path, monkeypatch) -> Path:
    """The folder of control groups, for a process that may run on eight CPUs."""
    monkeypatch.setattr(limits, "CGROUPS", tmp_path)
    monkeypatch.setattr(limits, "MEMBERSHIP", tmp_path / "self")
    monkeypatch.setattr(limits.sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "n"),
    [("max 100000", 8), ("300000 100000", 3), ("150000 100000", 2), ("5000 100000", 1),
     ("900000 100000", 8), ("garbage", 8)],
)  # fmt: skip
def test_a_cpu_quota_of_a_cgroup_is_rounded_up(cpu_root, quota, n) -> None:
    (cpu_root / "self").write_text("0::/a/b\n")
    (cpu_root / "a/b").mkdir(parents=True)
    (cpu_root / "a/cpu.max").write_text(f"{quota}\n")  # of the parent
    (cpu_root / "a/b/cpu.max").write_text("max 100000\n")
    assert n_cpus() == n


def test_the_cpu_affinity_is_used_if_there_are_no_cgroups(cpu_root) -> None:
    assert n_cpus() == 8


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has an affinity")
def test_the_cpu_count_does_not_exceed_the_process_affinity() -> None:
    assert 1 <= n_cpus() <= len(os.sched_getaffinity(0))
