"""A sweep from its first training to its last, on any pool of workers.

This module prints nothing, and knows nothing of what the results mean.
"""

from collections.abc import Callable, Iterable
from functools import partial
from threading import Event

from microgpt_evolution.objectives.sweep import SweepObjective
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.records import SweepRecords
from microgpt_evolution.sweep.result import SweepResult
from microgpt_evolution.workers.driver import Outcome, evaluate_all
from microgpt_evolution.workers.pickled_once import PickledOnce
from microgpt_evolution.workers.pools import Pool, Threads

Task = tuple[SweepConfig, int]  # settings and a seed


def run_sweep(
    track: SweepObjective,
    pool: Pool,
    records: SweepRecords,
    *,
    on_result: Callable[[SweepResult], None],
    should_stop: Event | None = None,
) -> None:
    """Make all trainings of a sweep that are not on record.

    Args:
        track: what measures.
        pool: the workers.
        records: what is to be trained, what has been, and where results go.
        on_result: is told of each, as it comes.
        should_stop: set it to end early.

    Raises:
        StoppedError: should_stop was set before the last had ended.
    """
    should_stop = should_stop or Event()

    def note(result: SweepResult) -> None:
        records.add(result)
        on_result(result)

    tasks = records.todo()
    refusals = _refusals(track, pool, {point for point, _ in tasks})
    for point, seed in tasks:
        if point in refusals:
            note(track.failed(point, seed, "refused", refusals[point]))
    # The longest first, so that no worker waits for the last.
    tasks = [task for task in tasks if task[0] not in refusals]
    tasks.sort(key=lambda task: -track.flops(task[0]))

    def note_outcome(i: int, outcome: Outcome[SweepResult]) -> None:
        if not should_stop.is_set():  # else it may have ended because of that
            crashed = track.failed(*tasks[i], "crashed", outcome.error or "")
            note(outcome.result or crashed)

    # Other processes cannot see the event; they are ended.
    stop = should_stop.is_set if isinstance(pool, Threads) else None
    work = partial(_measure, track, stop)
    evaluate_all(
        work if stop else PickledOnce.of(work),
        tasks,
        pool,
        on_outcome=note_outcome,
        should_stop=should_stop,
    )


def _refusals(
    track: SweepObjective, pool: Pool, points: Iterable[SweepConfig]
) -> dict[SweepConfig, str]:
    """Return why points are not trained, for those that do not fit into the memory."""
    free = pool.free_bytes()
    needed = {point: track.n_bytes(point) for point in points}
    return {
        point: f"it needs {n_bytes:,} bytes of memory, and {free:,} are free for each training"
        for point, n_bytes in needed.items()
        if free is not None and n_bytes > free
    }


def _measure(
    track: SweepObjective, should_stop: Callable[[], bool] | None, task: Task
) -> SweepResult:
    """Make one training."""
    return track.measure(*task, should_stop)
