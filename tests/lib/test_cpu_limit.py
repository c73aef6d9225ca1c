"""CPUs, as the affinity and the control groups leave them; here in a made-up /sys and /proc."""

import os
import sys
from pathlib import Path

import pytest

from microgpt import cpu_limit, memory_limit
from microgpt.cpu_limit import n_cpus


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    """The folder of control groups, for a process that may run on eight CPUs."""
    monkeypatch.setattr(memory_limit, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory_limit, "MEMBERSHIP", tmp_path / "self")
    monkeypatch.setattr(cpu_limit.sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "n"),
    [("max 100000", 8), ("300000 100000", 3), ("150000 100000", 2), ("5000 100000", 1),
     ("900000 100000", 8), ("garbage", 8)],
)  # fmt: skip
def test_a_version_2_quota_is_rounded_up(root, quota, n) -> None:
    (root / "self").write_text("0::/a/b\n")
    (root / "a/b").mkdir(parents=True)
    (root / "a/cpu.max").write_text(f"{quota}\n")  # of the parent
    (root / "a/b/cpu.max").write_text("max 100000\n")
    assert n_cpus() == n


@pytest.mark.parametrize(("quota", "n"), [(-1, 8), (250_000, 3)])
def test_a_version_1_quota_limits_the_affinity(root, quota, n) -> None:
    (root / "self").write_text("4:memory:/x\n3:cpu,cpuacct:/docker/1\n0::/\n")
    (root / "cpu").mkdir()  # in a container, only the root of the mount is there
    (root / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n")
    (root / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert n_cpus() == n


def test_the_affinity_is_used_without_control_groups(root) -> None:
    assert n_cpus() == 8


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has an affinity")
def test_the_affinity_of_this_process_is_read() -> None:
    assert 1 <= n_cpus() <= len(os.sched_getaffinity(0))
