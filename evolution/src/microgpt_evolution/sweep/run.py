"""Run a sweep: evaluate each of its points with each seed, on any pool of workers."""

from collections.abc import Callable
from dataclasses import replace
from threading import Event

from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.sweep import SweepObjective
from microgpt_evolution.sweep.records import SweepRecords
from microgpt_evolution.sweep.result import SweepResult
from microgpt_evolution.workers.pools import Pool


def run_sweep(
    objective: SweepObjective,
    pool: Pool,
    records: SweepRecords,
    *,
    on_result: Callable[[SweepResult], None],
    should_stop: Event | None = None,
) -> None:
    """Make all trainings of a sweep that are not on record.

    Args:
        objective: what measures.
        pool: the workers; what does not fit into their free memory is refused.
        records: what is to be trained, what has been, and where results go.
        on_result: is called with each result, as it comes.
        should_stop: set it to end early.

    Raises:
        StoppedError: should_stop was set before the last had ended.
    """
    trials = records.todo()
    objective = replace(objective, free_bytes=pool.free_bytes())
    evaluator = CachedEvaluator(objective, pool, records, should_stop=should_stop)
    evaluator.measure(trials, lambda i, _: on_result(records.result(trials[i])))
