"""Number of CPUs available to the process, given its CPU affinity and cgroup quotas."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

from microgpt.memory_limit import cgroup_directories


def n_cpus() -> int:
    """Return the number of CPUs that this process may use; fractional quotas are rounded up."""
    # macOS and Windows have no sched_getaffinity.
    n = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min([n, *map(ceil, _quotas())]))


def _quotas() -> Iterator[float]:
    """Yield the CPU quota of the process's cgroup and of each parent cgroup that has a quota."""
    for directory, version in cgroup_directories("cpu"):
        with suppress(OSError, ValueError):  # missing file, or a quota of "max"
            quota, period = _read_v1(directory) if version == 1 else _read_v2(directory)
            if quota > 0 and period > 0:  # in version 1, -1 means no quota
                yield quota / period


def _read_v1(directory: Path) -> list[int]:
    return [int((directory / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period")]


def _read_v2(directory: Path) -> list[int]:
    return [int(number) for number in (directory / "cpu.max").read_text().split()]
