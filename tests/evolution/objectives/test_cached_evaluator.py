"""One driver for searches and sweeps: evaluations are recorded, reused, shared out and retried."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from searches import PARTS, SETTINGS

from microgpt_evolution.errors import StoppedError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator, OnMeasured
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.organism import Trial
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_evolution.search.search_records import Records
from microgpt_evolution.sweep.sweep_records import SweepRecords, SweepSettings
from microgpt_evolution.workers.pools import Pool, Threads

SMALL = Genome(n_embd=8, block_size=4, n_layer=1, n_head=2, n_ff_exp=2, steps=60, lr=0.02)
CONFIGS = (Genome(n_embd=8, n_head=2, steps=20), Genome(n_embd=8, n_head=2, steps=40))


def test_known_trials_are_reused_and_large_trials_are_refused(tmp_path: Path) -> None:
    limit = 10 * LossObjective.of(PARTS).flops(Trial(SMALL, 1))
    objective = LossObjective.of(PARTS, max_flops=limit)
    trials = [Trial(SMALL, 1, "g1-1"), Trial(replace(SMALL, steps=6000), 2, "g1-2")]
    made: list[int] = []
    with Records.begin(tmp_path, "evolve", SETTINGS) as records, Threads(1) as pool:
        evaluator = CachedEvaluator(objective, pool, records)
        found = evaluator.measure(trials, lambda i, evaluation: made.append(i))
        assert [evaluation.status for evaluation in found] == ["ok", "refused"]
        assert found[1].reason == objective.refusal(trials[1])
        assert found[0] == objective.measure(Trial(SMALL, 1))
        assert evaluator.measure(trials, lambda i, evaluation: made.append(i)) == found
    assert made == [1, 0]
    assert evaluator.count_known(trials) == 2


def begin(folder: Path) -> SweepRecords:
    facts = {"seeds": (1, 2), "input": "/x", "data_sha256": ""}
    settings = SweepSettings(sweep="grid", genomes=CONFIGS, **facts)
    return SweepRecords.begin(folder, "sweep", settings)


def sweep(
    records: SweepRecords,
    pool: Pool,
    on_measured: OnMeasured | None = None,
    should_stop: Event | None = None,
) -> list[TrialRecord]:
    """Evaluate what is left of a sweep; return all results without times."""
    objective = SweepObjective.of_sweep(PARTS)
    with records, pool:
        evaluator = CachedEvaluator(objective, pool, records, should_stop=should_stop)
        evaluator.measure(records.todo(), on_measured)
        times = {"seconds": 0.0, "cpu_seconds": 0.0}
        return [result.model_copy(update=times) for result in records.results]


def test_the_number_of_workers_does_not_change_a_sweep(tmp_path) -> None:
    alone = sweep(begin(tmp_path), Threads(1))
    assert [(r.genome, r.seed) for r in alone] == [(c, s) for c in CONFIGS for s in (1, 2)]
    assert {r.status for r in alone} == {"ok"}
    assert sweep(begin(tmp_path), Threads(3)) == alone


def test_a_stopped_sweep_resumes_with_the_same_results(tmp_path) -> None:
    stop, records = Event(), begin(tmp_path)
    with pytest.raises(StoppedError):
        sweep(records, Threads(1), lambda i, evaluation: stop.set(), stop)
    again, told = SweepRecords.open(records.directory), []
    n_before = again.n_known
    results = sweep(again, Threads(1), lambda i, evaluation: told.append(i))
    assert 0 < n_before < 4
    assert len(told) == 4 - n_before
    assert results == sweep(begin(tmp_path), Threads(1))


def test_a_failed_training_run_does_not_end_the_sweep(tmp_path, monkeypatch) -> None:
    measure = SweepObjective.measure

    def broken(self, trial, should_stop=None):
        if (trial.genome, trial.seed) == (CONFIGS[0], 2):
            raise OSError("broken")
        return measure(self, trial, should_stop)

    monkeypatch.setattr(SweepObjective, "measure", broken)
    results = sweep(begin(tmp_path), Threads(1))
    assert [r.status for r in results] == ["ok", "crashed", "ok", "ok"]
    assert results[1].reason == "OSError: broken"
