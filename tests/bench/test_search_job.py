"""The account of the searches that bench/search_fight.py compares."""

import math
from pathlib import Path
from typing import Any

import pytest

RIVALS = Path(__file__).resolve().parents[2] / "bench" / "rivals"
LOSSES = [[[3.0, 2.0, 2.5], []], [[3.1, 2.1, 2.6], []]]  # two seeds, two genomes; one diverges


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(RIVALS)
    return pytest.importorskip("search_job")


def test_the_ledger_counts_only_the_new_points_of_a_run(job: Any) -> None:
    ledger = job.Ledger(LOSSES, 3, seed=1)
    run = job.Run(genome=0, seed=1)

    assert ledger.train(run, 1) == [3.1]
    assert ledger.train(run, 3) == [3.1, 2.1, 2.6]
    assert ledger.loss(run, 3) == 2.1  # paid already
    assert ledger.points == [(run, 1), (run, 2), (run, 3)]


def test_the_budget_can_end_a_search_in_the_middle_of_a_run(job: Any) -> None:
    ledger = job.Ledger(LOSSES, 4, seed=1)
    ledger.train(job.Run(0, 0), 3)

    with pytest.raises(job.SpentError):
        ledger.train(job.Run(0, 1), 3)

    assert ledger.points[3:] == [((0, 1), 1)]


def test_the_ledger_counts_a_diverging_run_as_one_point(job: Any) -> None:
    ledger = job.Ledger(LOSSES, 4, seed=1)

    assert ledger.train(job.Run(1, 0), 3) == [math.inf]
    assert len(ledger.points) == 1


def test_a_search_that_proposes_only_known_trials_ends(job: Any) -> None:
    ledger = job.Ledger(LOSSES, 8, seed=1)
    for _ in range(job.MAX_REQUESTS):
        ledger.train(job.Run(0, 0), 3)

    with pytest.raises(job.SpentError):
        ledger.train(job.Run(0, 0), 3)
