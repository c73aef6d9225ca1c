"""Check the free memory, count the CPUs that this process can use, and run work in threads."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from threading import Event
from typing import TypeVar

from microgpt.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")

NEGLIGIBLE = 2**24  # in bytes; smaller allocations are not checked, since a check takes 0.5 ms


def check_memory(
    n_bytes: int, purpose: str, remedy: str = "use a smaller model or context"
) -> None:
    """Raise ConfigError if n_bytes exceeds the free memory of the computer."""
    if n_bytes < NEGLIGIBLE:
        return
    import psutil

    free = psutil.virtual_memory().available
    if n_bytes > free:
        raise ConfigError(
            f"{purpose} needs {n_bytes:,} bytes of memory, but only {free:,} are free; {remedy}"
        )


def n_cpus() -> int:
    """Return the number of CPUs that this process can use."""
    # Without sched_getaffinity (macOS and Windows), count all CPUs.
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


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
        with suppress(RuntimeError):  # raised if this generator is closed in a thread of the pool
            pool.shutdown(cancel_futures=True)
