"""Memory and CPUs that this process may use, given its cgroups and its CPU affinity; threads."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from threading import Event
from typing import TypeVar

from microgpt.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")

NEGLIGIBLE = 2**24  # in bytes; smaller allocations are not checked, since a check takes 0.5 ms
MEMBERSHIP, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")  # of version 2
MEMORY = "max", "current", "stat"  # files of a cgroup; all values include child groups


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


def map_in_threads(
    work: Callable[[Item, Event], Result], items: Sequence[Item], n_threads: int
) -> Iterator[Result]:
    """Compute work(item, should_stop) on n_threads threads; yield the results in item order.

    An exception or Ctrl-C sets should_stop; `work` must then return soon.
    """
    should_stop = Event()
    if n_threads == 1 or len(items) == 1:
        for item in items:
            yield work(item, should_stop)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(n_threads)
    try:
        yield from pool.map(lambda item: work(item, should_stop), items)
    finally:
        should_stop.set()
        with suppress(RuntimeError):  # raised if garbage collection runs this in a pool thread
            pool.shutdown(cancel_futures=True)


def _free_in_groups() -> Iterator[int]:
    """Yield the free bytes of the process's cgroup and of each parent cgroup."""
    for directory in _cgroups():
        with suppress(OSError, ValueError):  # missing file, or a limit of "max"
            texts = [(directory / f"memory.{name}").read_text() for name in MEMORY]
            stat = dict(line.split() for line in texts[2].splitlines())
            yield max(0, int(texts[0]) - int(texts[1]) + int(stat.get("inactive_file", 0)))


def _quotas() -> Iterator[float]:
    """Yield the CPU quota of the process's cgroup and of each parent cgroup that has a quota."""
    for directory in _cgroups():
        with suppress(OSError, ValueError):  # missing file, or a quota of "max"
            quota, period = map(int, (directory / "cpu.max").read_text().split())
            yield quota / period


def _cgroups() -> Iterator[Path]:
    """Yield the directories of the process's cgroup and of its parents; some may not exist."""
    with suppress(OSError):  # /proc is missing, for example on macOS
        path = os.fsdecode(MEMBERSHIP.read_bytes()).partition("0::")[2].strip()
        group = CGROUPS / path.lstrip("/")
        yield from (each for each in (group, *group.parents) if each.is_relative_to(CGROUPS))
