"""Memory and CPUs that this process may use, given its cgroups and its CPU affinity."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Literal

from microgpt.errors import ConfigError

NEGLIGIBLE = 2**24  # in bytes; smaller allocations are not checked, since a check takes 0.5 ms
MEMBERSHIP, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# For each cgroup version: the files with the memory limit and usage, and the memory.stat field for
# reclaimable memory. All values include child groups.
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = ("memory.max", "memory.current", "inactive_file")
QUOTAS = {1: ("cpu.cfs_quota_us", "cpu.cfs_period_us"), 2: ("cpu.max",)}  # with the period


def free_bytes() -> int:
    """Return the memory available to this process, in bytes."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_free_in_groups()])


def check_memory(
    n_bytes: int, purpose: str, remedy: str = "use a smaller model or context"
) -> None:
    """Raise ConfigError if n_bytes exceeds the free memory."""
    if n_bytes < NEGLIGIBLE:
        return
    free = free_bytes()
    if n_bytes > free:
        raise ConfigError(
            f"{purpose} needs {n_bytes:,} bytes of memory, but only {free:,} are free; {remedy}"
        )


def n_cpus() -> int:
    """Return the number of CPUs that this process may use; fractional quotas are rounded up."""
    # macOS and Windows have no sched_getaffinity.
    n = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min([n, *map(ceil, _quotas())]))


def _free_in_groups() -> Iterator[int]:
    """Yield the free bytes of the process's cgroup and of each parent cgroup."""
    for directory, version in _cgroup_directories("memory"):
        with suppress(OSError, ValueError):  # missing file, or a limit of "max"
            limit, usage, cache = V1 if version == 1 else V2
            text = (directory / "memory.stat").read_text()
            stat = dict(line.split() for line in text.splitlines())
            used = int((directory / usage).read_text()) - int(stat.get(cache, 0))
            yield max(0, int((directory / limit).read_text()) - used)


def _quotas() -> Iterator[float]:
    """Yield the CPU quota of the process's cgroup and of each parent cgroup that has a quota."""
    for directory, version in _cgroup_directories("cpu"):
        with suppress(OSError, ValueError):  # missing file, or a quota of "max"
            texts = [(directory / name).read_text() for name in QUOTAS[version]]
            quota, period = map(int, " ".join(texts).split())
            if quota > 0 and period > 0:  # in version 1, -1 means no quota
                yield quota / period


def _cgroup_directories(controller: str) -> Iterator[tuple[Path, Literal[1, 2]]]:
    """Yield the directories of the process's cgroup and of its parents, with the cgroup version.

    In a container, the cgroup path may be a path on the host that is not mounted. In that case,
    only the root of the mount exists.
    """
    with suppress(OSError):  # /proc is missing, for example on macOS
        for line in os.fsdecode(MEMBERSHIP.read_bytes()).splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            root = CGROUPS / controller if controllers else CGROUPS
            group = root / path.lstrip("/")
            for directory in (group, *group.parents):
                if directory.is_relative_to(root):
                    yield directory, 1 if controllers else 2
