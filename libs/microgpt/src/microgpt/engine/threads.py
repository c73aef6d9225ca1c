"""Work in several threads: kernels release Python's lock, so they run side by side."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(
    work: Callable[[Item, Event], Result], items: Sequence[Item], n_threads: int
) -> list[Result]:
    """Return work(item, stop) of each item, in order.

    Args:
        work: must come back soon once `stop` is set, which an exception or a Ctrl-C does.
        items: what to work on.
        n_threads: how many are worked on at once.
    """
    stop = Event()
    if n_threads == 1 or len(items) == 1:
        return [work(item, stop) for item in items]
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            return list(pool.map(lambda item: work(item, stop), items))
        except BaseException:
            stop.set()
            raise
