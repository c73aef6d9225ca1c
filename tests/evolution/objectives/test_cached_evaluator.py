"""One driver for searches and sweeps: evaluations are recorded, reused, shared out and retried."""

from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from threading import Event
from typing import ClassVar

import pytest
from process_pool import Processes
from searches import PARTS, SETTINGS

from microgpt.errors import ConfigError
from microgpt_evolution.errors import StoppedError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives import cached_evaluator
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator, OnMeasured
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.search.records import Records
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.records import SweepRecords, SweepResult, SweepSettings
from microgpt_evolution.workers.pools import Pool, Threads

SMALL = Genome(n_emb=8, n_ctx=4, n_layer=1, n_head=2, n_ff_exp=2, steps=60, lr=0.02)
CONFIGS = (SweepConfig(n_embd=8, n_head=2, steps=20), SweepConfig(n_embd=8, n_head=2, steps=40))


def test_known_trials_are_reused_and_large_trials_are_refused(tmp_path: Path) -> None:
    limit = 10 * LossObjective.of(PARTS).flops(SMALL)
    objective = LossObjective.of(PARTS, max_flops=limit)
    trials = [Trial(SMALL, 1, "g1-1"), Trial(replace(SMALL, steps=6000), 2, "g1-2")]
    made: list[int] = []
    with Records.begin(tmp_path, "evolve", SETTINGS) as records, Threads(1) as pool:
        evaluator = CachedEvaluator(objective, pool, records)
        found = evaluator.measure(trials, lambda i, evaluation: made.append(i))
        assert [evaluation.status for evaluation in found] == ["ok", "refused"]
        assert found[1].reason == objective.refusal(trials[1].config)
        assert found[0] == objective.measure(SMALL, 1)
        assert evaluator.measure(trials, lambda i, evaluation: made.append(i)) == found
    assert made == [1, 0]
    assert evaluator.count_known(trials) == 2


def begin(folder: Path) -> SweepRecords:
    settings = SweepSettings(sweep="grid", points=CONFIGS, seeds=(1, 2), input="/x", data_sha256="")
    return SweepRecords.begin(folder, "sweep", settings)


def sweep(
    records: SweepRecords,
    pool: Pool,
    on_measured: OnMeasured | None = None,
    should_stop: Event | None = None,
) -> list[SweepResult]:
    """Evaluate what is left of a sweep; return all results without times."""
    objective = SweepObjective.of(PARTS)
    with records, pool:
        evaluator = CachedEvaluator(objective, pool, records, should_stop=should_stop)
        evaluator.measure(records.todo(), on_measured)
        times = {"seconds": 0.0, "cpu_seconds": 0.0}
        return [result.model_copy(update=times) for result in records.results]


@pytest.mark.parametrize("pool", [Threads(3), pytest.param(Processes(2), marks=pytest.mark.slow)])
def test_the_kind_of_workers_does_not_change_a_sweep(tmp_path, pool) -> None:
    alone = sweep(begin(tmp_path), Threads(1))
    assert [(r.config, r.seed) for r in alone] == [(c, s) for c in CONFIGS for s in (1, 2)]
    assert {r.status for r in alone} == {"ok"}
    assert sweep(begin(tmp_path), pool) == alone


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

    def broken(self, config, seed, should_stop=None):
        if (config, seed) == (CONFIGS[0], 2):
            raise OSError("broken")
        return measure(self, config, seed, should_stop)

    monkeypatch.setattr(SweepObjective, "measure", broken)
    results = sweep(begin(tmp_path), Threads(1))
    assert [r.status for r in results] == ["ok", "crashed", "ok", "ok"]
    assert results[1].reason == "OSError: broken"


FOUND = Evaluation("ok", last_loss=1.0, val_loss=1.0, train_loss=1.0)


class Together(SweepObjective):
    """Trains groups of at most three on a device, and counts them."""

    groups: ClassVar[list[list[int]]] = []

    def train_together(self, trials, device, should_stop=None):
        """Return the seed as the loss."""
        if len(trials) > 3:
            raise ConfigError("the device has not enough memory")
        self.groups.append([trial.config.steps for trial in trials])
        return [replace(FOUND, fitness=trial.seed) for trial in trials]


def test_trials_of_one_shape_are_trained_together(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cached_evaluator, "COMPILATION", 0)
    points = tuple(SweepConfig(n_embd=n, n_head=2, steps=20) for n in (8, 16))
    points += (replace(points[0], steps=30, lr=0.1, dropout=0.5, weight_decay=0.1),)
    settings = SweepSettings(sweep="grid", points=points, seeds=(1, 2), input="/x", data_sha256="")
    with SweepRecords.begin(tmp_path, "sweep", settings) as records, Threads(1, "cpu") as pool:
        evaluator = CachedEvaluator(Together.of(PARTS), pool, records)
        evaluations = evaluator.measure(records.todo())
    assert [evaluation.fitness for evaluation in evaluations] == [1, 2] * 3
    assert sorted(Together.groups) == [[20, 20], [20, 20], [30, 30]]  # two halves of a group


def test_what_a_device_cannot_train_is_refused(tmp_path, monkeypatch) -> None:
    def train_together(self, trials, device, should_stop) -> list[Evaluation]:
        if trials[0].config.n_embd == 16:
            raise ConfigError("the device has not enough memory")
        return [FOUND] * len(trials)

    monkeypatch.setattr(cached_evaluator, "COMPILATION", 0)
    monkeypatch.setattr(Together, "train_together", train_together)
    points = tuple(SweepConfig(n_embd=n, n_head=2, steps=20) for n in (8, 16))
    settings = SweepSettings(sweep="grid", points=points, seeds=(1, 2), input="/x", data_sha256="")
    with SweepRecords.begin(tmp_path, "sweep", settings) as records, Threads(1, "cpu") as pool:
        found = CachedEvaluator(Together.of(PARTS), pool, records).measure(records.todo())
    assert [each.status for each in found] == ["ok", "ok", "refused", "refused"]
    assert found[2].reason == "the device has not enough memory"


def test_a_small_group_is_trained_on_the_cores(tmp_path) -> None:
    on_cores = sweep(begin(tmp_path), Threads(1))
    assert sweep(begin(tmp_path), Threads(1, "cpu")) == on_cores


@pytest.mark.slow
def test_a_device_gives_the_losses_of_the_cores(tmp_path, monkeypatch) -> None:
    pytest.importorskip("jax")
    on_cores = sweep(begin(tmp_path), Threads(1))
    monkeypatch.setattr(cached_evaluator, "COMPILATION", 0)
    on_device = sweep(begin(tmp_path), Threads(1, "cpu"))
    key = attrgetter("config.steps", "seed")
    for ours, theirs in zip(sorted(on_device, key=key), sorted(on_cores, key=key), strict=True):
        assert (ours.config, ours.seed, ours.samples) == (
            theirs.config,
            theirs.seed,
            theirs.samples,
        )
        assert ours.val_loss == pytest.approx(theirs.val_loss, abs=1e-4)
        assert ours.last_loss == pytest.approx(theirs.last_loss, abs=1e-4)
