import pytest

from microgpt.training import clock


def test_the_clock_stands_still_while_the_process_is_suspended(monkeypatch) -> None:
    now = cpu = 0.0
    monkeypatch.setattr(clock, "perf_counter", lambda: now)
    monkeypatch.setattr(clock, "process_time", lambda: cpu)
    time, elapsed = clock.RunningTime(), list[float]()
    for passed, worked in [(1, 1), (2, 0), (60, 0.02), (0.02, 0.02), (10, 1)]:
        now, cpu = now + passed, cpu + worked
        elapsed.append(time())
    assert elapsed == pytest.approx([1, 3, 3.02, 3.04, 13.04])  # a pause of 2 s is no suspension
