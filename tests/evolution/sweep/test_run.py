from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from microgpt.data.split import split
from microgpt_evolution.errors import StoppedError
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.records import SweepRecords, SweepResult, SweepSettings
from microgpt_evolution.sweep.run import run_sweep
from microgpt_evolution.workers.pools import Pool, Processes, Threads

DOCS = [a + b + c + d for a in "aei" for b in "mnr" for c in "aeo" for d in ["", "l", "nn"]]
OBJECTIVE = SweepObjective.of(split(DOCS, validation=0.2, test=0.2))
POINTS = (SweepConfig(n_embd=8, n_head=2, steps=20), SweepConfig(n_embd=8, n_head=2, steps=40))
LARGE = SweepConfig(n_embd=2**16, n_head=1, n_layer=64)


def begin(folder: Path, *more: SweepConfig) -> SweepRecords:
    settings = SweepSettings(
        sweep="grid", points=(*POINTS, *more), seeds=(1, 2), input="/x", data_sha256=""
    )
    return SweepRecords.begin(folder, "sweep", settings)


def timeless(results: list[SweepResult]) -> list[SweepResult]:
    return [r.model_copy(update={"seconds": 0.0, "cpu_seconds": 0.0}) for r in results]


def sweep(
    folder: Path,
    pool: Pool,
    *more: SweepConfig,
    on_result: Callable[[SweepResult], None] = lambda result: None,
    should_stop: Event | None = None,
) -> list[SweepResult]:
    with begin(folder, *more) as records, pool:
        run_sweep(OBJECTIVE, pool, records, on_result=on_result, should_stop=should_stop)
        return timeless(records.results)


def test_threads_do_not_change_a_sweep(tmp_path) -> None:
    alone = sweep(tmp_path, Threads(1))
    assert [(r.config, r.seed) for r in alone] == [(p, s) for p in POINTS for s in (1, 2)]
    assert {r.status for r in alone} == {"ok"}
    assert sweep(tmp_path, Threads(3)) == alone


@pytest.mark.slow
def test_processes_do_not_change_a_sweep(tmp_path) -> None:
    assert sweep(tmp_path, Processes(2)) == sweep(tmp_path, Threads(1))


def test_points_that_do_not_fit_are_refused_beforehand(
    tmp_path,
) -> None:
    told: list[SweepResult] = []
    results = sweep(tmp_path, Threads(2), LARGE, on_result=told.append)
    assert [r.status for r in told] == ["refused"] * 2 + ["ok"] * 4
    assert [r.config for r in results if r.status == "refused"] == [LARGE, LARGE]
    assert "bytes of memory, but only" in told[0].reason


def test_workers_share_the_memory(tmp_path, monkeypatch) -> None:
    enough = OBJECTIVE.n_bytes(POINTS[1])
    monkeypatch.setattr("microgpt_evolution.workers.pools.free_bytes", lambda: enough)
    assert {r.status for r in sweep(tmp_path, Threads(1))} == {"ok"}
    assert "refused" in {r.status for r in sweep(tmp_path, Threads(2))}


def test_a_stopped_sweep_resumes_with_the_same_results(tmp_path) -> None:
    stop = Event()
    whole = sweep(tmp_path, Threads(1))
    with begin(tmp_path) as records, Threads(1) as pool, pytest.raises(StoppedError):
        run_sweep(OBJECTIVE, pool, records, on_result=lambda result: stop.set(), should_stop=stop)
    told: list[SweepResult] = []
    with SweepRecords.open(records.directory) as records, Threads(1) as pool:
        n_before = records.n_known
        run_sweep(OBJECTIVE, pool, records, on_result=told.append)
        assert 0 < n_before < 4
        assert len(told) == 4 - n_before
        assert timeless(records.results) == whole


def test_a_failed_training_fails_alone(tmp_path, monkeypatch) -> None:
    measure = SweepObjective.measure

    def broken(self, point, seed, should_stop=None):
        if (point, seed) == (POINTS[0], 2):
            raise OSError("broken")
        return measure(self, point, seed, should_stop)

    monkeypatch.setattr(SweepObjective, "measure", broken)
    results = sweep(tmp_path, Threads(1))
    assert [r.status for r in results] == ["ok", "crashed", "ok", "ok"]
    assert results[1].reason == "OSError: broken"
