import threading

import pytest

from microgpt.threads import map_in_threads


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
