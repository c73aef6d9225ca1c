"""How many workers there are if nobody says, and the memory of each."""

import pytest

from microgpt_evolution.workers import pools
from microgpt_evolution.workers.pools import Threads, default_workers

GB = 2**30


@pytest.mark.parametrize(
    ("n_cpus", "n_trials", "free", "n"),
    [(8, 100, 100 * GB, 8), (8, 3, 100 * GB, 3), (8, 100, 5 * GB + 1, 5), (8, 100, 0, 1),
     (8, 0, 100 * GB, 1), (1, 100, 100 * GB, 1)],
)  # fmt: skip
def test_workers_are_limited_by_cpus_trials_and_memory(
    monkeypatch, n_cpus, n_trials, free, n
) -> None:
    monkeypatch.setattr(pools, "n_cpus", lambda: n_cpus)
    monkeypatch.setattr(pools, "free_bytes", lambda: free)
    assert default_workers(n_trials, trial_bytes=GB) == n


def test_workers_share_the_free_memory(monkeypatch) -> None:
    monkeypatch.setattr(pools, "free_bytes", lambda: 3 * GB)
    assert [Threads(n).free_bytes() for n in (1, 3)] == [3 * GB, GB]
