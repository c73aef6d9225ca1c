import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from microgpt.training import clock


def test_the_clock_stands_still_while_the_process_is_suspended(monkeypatch) -> None:
    now = cpu = 0.0
    monkeypatch.setattr(clock, "perf_counter", lambda: now)
    monkeypatch.setattr(clock, "process_time", lambda: cpu)
    running, elapsed = clock.RunningTime(), list[float]()
    for passed, worked in [(1, 1), (2, 0), (60, 0.02), (0.02, 0.02), (10, 1)]:
        now, cpu = now + passed, cpu + worked
        elapsed.append(running())
    assert elapsed == pytest.approx([1, 3, 3.02, 3.04, 13.04])  # 2 s without work is no suspension


def test_two_threads_do_not_subtract_the_same_pause_twice(monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr(clock, "perf_counter", lambda: now)
    monkeypatch.setattr(clock, "process_time", lambda: time.sleep(0.02) or 0.0)
    elapsed, now = clock.RunningTime(), 60.0
    assert [*ThreadPoolExecutor(2).map(lambda _: elapsed(), range(2))] == [0, 0]
