import threading
import time

import pytest

from microgpt.threads import map_in_threads


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_are_yielded_in_the_order_of_the_items(n_threads) -> None:
    def work(item: int, should_stop: threading.Event) -> int:
        time.sleep(0.001 * (5 - item % 5))
        return item * item

    assert list(map_in_threads(work, range(20), n_threads)) == [i * i for i in range(20)]


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


def test_closing_the_results_stops_the_remaining_work() -> None:
    stopped = []
    all_started = threading.Barrier(3)

    def work(item: int, should_stop: threading.Event) -> int:
        all_started.wait(30)
        if item:
            stopped.append(should_stop.wait(30))
        return item

    results = map_in_threads(work, range(3), 3)
    assert next(results) == 0
    results.close()
    assert stopped == [True, True]


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
