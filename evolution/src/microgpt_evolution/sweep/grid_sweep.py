"""Sweeps of a grid around Karpathy's settings, or those that `train` chooses; from Python, too."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from microgpt import (
    DEFAULT_SEED,
    Choice,
    ConfigError,
    Document,
    Fitting,
    Split,
    Tell,
    TimeLimit,
    checked,
    choose_settings,
    default_lr,
    hold_out,
    split,
    with_steps,
)
from microgpt_evolution.errors import GenomeError, raised_as
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.runs.run_directory import HELD_OUT, TrialRecord, facts_of
from microgpt_evolution.sweep.config import SETTINGS, describe, grid
from microgpt_evolution.sweep.sweep_records import ChosenSettings, SweepRecords, SweepSettings
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
    settings = plan.settings(
        seed, seeds, sweep="grid", input="documents", has_function=objective is not None
    )
    with SweepRecords.at(run_dir, settings) as records:
        measured, todo = SweepObjective.of_sweep(plan.parts, settings, objective), records.todo()
        with pool_of(workers, len(todo)) as pool:
            CachedEvaluator(measured, pool, records).measure(todo)
        records.write_table()
        records.warn_of_failures()
        return records.results


class PlannedGrid(NamedTuple):
    """The genomes of a grid."""

    genomes: Sequence[Genome]
    skipped: Sequence[str]  # notes on the combinations that are impossible
    parts: Split
    chosen: ChosenSettings | None = None  # the settings around which the grid is, if not Karpathy's
    choice: Choice | None = None  # explains them

    def settings(self, seed: int, n_seeds: int, **facts: Any) -> SweepSettings:
        """Return the settings of a sweep; `facts` are values of its other fields.

        Raises:
            ConfigError: a value is out of range.
        """
        with raised_as(ConfigError):
            return SweepSettings(
                genomes=tuple(self.genomes),
                seeds=tuple(range(seed, seed + n_seeds)),
                chosen=self.chosen,
                **facts_of(self.parts),
                **facts,
            )


def plan_grid(
    docs: Sequence[Document] | str,
    axes: Mapping[str, Sequence[Any]],
    limits: Mapping[str, float] | None,
    limit: TimeLimit | None = None,
    tell: Tell = lambda line: None,
) -> PlannedGrid:
    """Return the grid of these axes; some of the documents are held out, even if there are few.

    Args:
        limits: the budget of each training run, in minutes or operations, for which the other
            settings are chosen; None for Karpathy's settings.
        limit: the time limit for the minutes.
        tell: called with notes for the user.

    Raises:
        GenomeError: an axis is unknown, or a value of it has the wrong type.
    """
    if limits is None:
        genomes, skipped = grid(axes)
        return PlannedGrid(genomes, skipped, split(docs, validation=HELD_OUT, test=HELD_OUT))
    given = {**limits, "text": "stream" if isinstance(docs, str) else "lines", "single": True}
    parts = hold_out(docs, given)
    if not parts.validation:
        held_out = {"val_fraction": HELD_OUT, "test_fraction": HELD_OUT}
        parts = hold_out(docs, {**held_out, **given})
    choice = choose_settings(Fitting(parts, given), limit, tell)
    genomes, skipped, chosen = _grid_around(choice, axes)
    return PlannedGrid(genomes, skipped, parts, chosen, choice)


def _grid_around(
    choice: Choice, axes: Mapping[str, Sequence[Any]]
) -> tuple[list[Genome], list[str], ChosenSettings]:
    """Return the result of `grid`, with the chosen settings first, and their record.

    Each configuration has as many steps as the operations of the chosen settings allow, unless the
    steps are an axis.
    """
    sizes = choice.sizes
    lr = choice.config.lr or default_lr(choice.model.n_embd)
    known = {**vars(choice.model), **vars(choice.config), "lr": lr}
    base = Genome(**{name: known[name] for name in SETTINGS if name in known})
    configs, impossible = grid(axes, base)
    found = {base: None}
    for config in configs:
        if "steps" not in axes:
            model = config.model(choice.model.vocab_size)
            length = sizes.chunk_length(config.block_size)
            hyper = replace(config.train_config(seed=0), evaluations=choice.config.evaluations)
            fit = with_steps(hyper, model, choice.operations, length)
            is_warmed_up = base.warmup_steps and "warmup_steps" not in axes
            warmup = fit.warmup_steps if is_warmed_up else config.warmup_steps
            try:
                config = replace(config, steps=fit.steps, warmup_steps=warmup)
            except GenomeError as error:
                impossible.append(f"{describe(values_of(config, axes))}: {error}")
                continue
        found[config] = None
    assert choice.budget  # there is none only for Karpathy's names without a limit
    chosen = ChosenSettings(
        base=base,
        budget=choice.budget,
        swept=tuple(axes),
        vocab_size=choice.vocab_size,
    )
    return list(found), impossible, chosen
