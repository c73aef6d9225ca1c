import pytest

from microgpt_evolution.workers import pools
from microgpt_evolution.workers.pools import default_workers


@pytest.mark.parametrize(
    ("n_cpus", "n_trials", "n"), [(8, 100, 8), (8, 3, 3), (8, 0, 1), (1, 100, 1)]
)
def test_workers_are_limited_by_cpus_and_trials(monkeypatch, n_cpus, n_trials, n) -> None:
    monkeypatch.setattr(pools, "n_cpus", lambda: n_cpus)
    assert default_workers(n_trials) == n
