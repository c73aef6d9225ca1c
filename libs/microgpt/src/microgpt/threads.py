"""Map a function over items on several threads, in parallel if the function releases the GIL."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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
