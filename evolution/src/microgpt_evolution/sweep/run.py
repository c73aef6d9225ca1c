"""Run a sweep from Python."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from microgpt import DEFAULT_SEED, ConfigError, Document, checked
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.runs.run_directory import TrialRecord, facts_of
from microgpt_evolution.sweep.chosen import plan_grid
from microgpt_evolution.sweep.records import SweepRecords, SweepSettings
from microgpt_evolution.workers.pools import Pool, pool_of


def sweep(
    docs: Sequence[Document] | str,
    axes: Mapping[str, Sequence[Any]],
    *,
    objective: Callable[..., float] | None = None,
    budget: float | None = None,
    seeds: int = 3,
    seed: int = DEFAULT_SEED,
    workers: int | Pool | None = None,
    run_dir: str | os.PathLike[str] | None = None,
) -> list[TrialRecord]:
    """Train every combination of settings, and return the results in the order of the grid.

    Each result has `genome`, `seed`, `status`, `reason`, `val_loss` (in nats per token) and, with
    an objective, its `value`.

    Args:
        axes: lists of values, by setting, such as {"n_embd": [16, 32], "lr": [0.003, 0.01]}.
        objective: function of the trained model, an `InferenceGpt`; if its parameter is called
            `genome`, it receives the settings, a `Genome`, and nothing is trained. See `evolve`.
        budget: operations of each training run. The other settings are then those that `train`
            chooses for the documents; without a budget, Karpathy's with a learning rate of 0.005.
        seeds: number of training runs per combination.
        seed: seed of the first training run.
        workers: number of threads, or an open pool (default: one thread per CPU).
        run_dir: directory in which results are recorded. An existing sweep is resumed.

    Raises:
        ConfigError: an argument is out of range, or differs from those of the existing sweep.
        DataError: there are too few documents.
        RunError: the existing sweep is damaged.
    """
    checked("seeds", seeds, int)
    if budget is None and isinstance(docs, str):
        raise ConfigError("running text requires a budget; pass documents or a budget")
    plan = plan_grid(docs, axes, None if budget is None else {"budget": budget})
    settings = SweepSettings(
        sweep="grid",
        genomes=tuple(plan.genomes),
        seeds=tuple(range(seed, seed + seeds)),
        input="documents",
        has_function=objective is not None,
        chosen=plan.chosen,
        **facts_of(plan.parts),
    )
    with SweepRecords.at(run_dir, settings) as records:
        measured, todo = SweepObjective.of_sweep(plan.parts, settings, objective), records.todo()
        with pool_of(workers, len(todo)) as pool:
            CachedEvaluator(measured, pool, records).measure(todo)
        records.write_table()
        for reason in dict.fromkeys(each.reason for each in records.results if each.reason):
            warnings.warn(f"a training run has no value: {reason}", stacklevel=2)
        return records.results
