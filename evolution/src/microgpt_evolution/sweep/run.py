"""Run a sweep: evaluate each configuration with each seed on a worker pool."""

from collections.abc import Callable
from dataclasses import replace
from threading import Event

from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.sweep.records import SweepRecords, SweepResult
from microgpt_evolution.workers.pools import Pool


def run_sweep(
    objective: SweepObjective,
    pool: Pool,
    records: SweepRecords,
    *,
    on_result: Callable[[SweepResult], None],
    should_stop: Event | None = None,
) -> None:
    """Evaluate and record the remaining trials; refuse trials that exceed the free memory.

    Raises:
        StoppedError: should_stop was set before all trials ended.
    """
    trials = records.todo()
    objective = replace(objective, free_bytes=pool.free_bytes())
    evaluator = CachedEvaluator(objective, pool, records, should_stop=should_stop)
    evaluator.measure(trials, lambda i, _: on_result(records.result(trials[i])))
