"""Number of CPUs available to the process, given its CPU affinity and cgroup quotas."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from math import ceil

from microgpt.memory_limit import cgroup_directories

# The files with the quota and its period, for each cgroup version.
FILES = {1: ("cpu.cfs_quota_us", "cpu.cfs_period_us"), 2: ("cpu.max",)}


def n_cpus() -> int:
    """Return the number of CPUs that this process may use; fractional quotas are rounded up."""
    # macOS and Windows have no sched_getaffinity.
    n = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min([n, *map(ceil, _quotas())]))


def _quotas() -> Iterator[float]:
    """Yield the CPU quota of the process's cgroup and of each parent cgroup that has a quota."""
    for directory, version in cgroup_directories("cpu"):
        with suppress(OSError, ValueError):  # missing file, or a quota of "max"
            texts = [(directory / name).read_text() for name in FILES[version]]
            quota, period = map(int, " ".join(texts).split())
            if quota > 0 and period > 0:  # in version 1, -1 means no quota
                yield quota / period
