"""Sweeps of a grid around Karpathy's settings, or those that `train` chooses; from Python, too."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from microgpt import (
    DEFAULT_SEED,
    Choice,
    ConfigError,
    DataError,
    Document,
    Fitting,
    Split,
    Tell,
    TimeLimit,
    checked,
    choose_settings,
    default_lr,
    describe_read,
    hold_out,
    split,
    with_steps,
)
from microgpt_evolution.errors import GenomeError, raised_as
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.objectives.own_objective import OwnFunction
from microgpt_evolution.strategies.grid import SETTINGS, describe, grid
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import HELD_OUT, ChosenSettings, SweepSettings, facts_of
from microgpt_evolution.trial import TrialRecord
from microgpt_evolution.workers import Workers, workers_of

Axes = Mapping[str, Sequence[Any]]  # values to combine, by setting
LEAST_TEXT = 1000  # characters of a running text; a shorter string is the path of one
N_SAMPLES = 3  # number of samples per model, as in the tables of evolve-rust


def sweep(
    docs: Sequence[Document] | str,
    axes: Axes,
    *,
    objective: Callable[..., float] | None = None,
    budget: float | None = None,
    seeds: int = 3,
    seed: int = DEFAULT_SEED,
    workers: int | Workers | None = None,
    trial_minutes: float | None = None,
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
        workers: number of threads, or open workers (default: one thread per CPU).
        trial_minutes: time limit of a training run; one that takes longer counts as a failure.
        run_dir: directory in which results are recorded. An existing sweep is resumed; if it has
            fewer seeds, only the others are trained.

    Raises:
        ConfigError: an argument is out of range, or differs from those of the existing sweep.
        DataError: there are too few documents, or `docs` is a path.
        StudyError: the existing sweep is damaged.
    """
    checked("seeds", seeds, int)
    if isinstance(docs, str | os.PathLike) and (budget is None or len(str(docs)) < LEAST_TEXT):
        raise DataError(
            f"docs is {str(docs)!r:.80}; pass a list of texts, such as load_text(path), or a "
            f"running text of at least {LEAST_TEXT:,} characters with a budget"
        )
    plan = plan_grid(docs, axes, None if budget is None else {"budget": budget})
    facts = {"input": "documents", "has_function": objective is not None}
    settings = plan.settings(seed, seeds, sweep="grid", trial_minutes=trial_minutes, **facts)
    if line := describe_read(settings.contamination):
        warnings.warn(line, stacklevel=2)
    with Study[SweepSettings].at(run_dir, settings) as study, workers_of(workers) as threads:
        study.measure(settings.trials, objective_of(plan.parts, settings, objective), threads)
        study.end()
        study.warn_of_failures()
        return results_of(study)


def results_of(study: Study[SweepSettings]) -> list[TrialRecord]:
    """Return the recorded results of a sweep, in table order."""
    found = map(study.known, study.settings.trials)
    return [record for record in found if record]


def objective_of(
    parts: Split, settings: SweepSettings, function: OwnFunction | None = None
) -> LossObjective:
    """Return the objective of a sweep; a function is measured too, or instead of a training."""
    chosen = settings.chosen
    return LossObjective(
        parts,
        own=function,
        n_samples=N_SAMPLES,
        text=settings.text,
        vocab_size=chosen.vocab_size if chosen else None,
        keeps_best=chosen is not None,
    )


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
    axes: Axes,
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
    genomes, skipped = _grid_around(choice, axes)
    chosen = ChosenSettings(base=genomes[0], swept=tuple(axes), vocab_size=choice.vocab_size)
    return PlannedGrid(genomes, skipped, parts, chosen, choice)


def _grid_around(choice: Choice, axes: Axes) -> tuple[list[Genome], list[str]]:
    """Return the result of `grid`, with the chosen settings first."""
    lr = choice.config.lr or default_lr(choice.model.n_embd)
    known = {**vars(choice.model), **vars(choice.config), "lr": lr}
    base = Genome(**{name: known[name] for name in SETTINGS if name in known})
    genomes, impossible = grid(axes, base)
    if "steps" in axes:
        return list(dict.fromkeys([base, *genomes])), impossible
    found = {base: None}
    for genome in genomes:
        try:
            found[_with_steps(genome, choice, axes)] = None
        except GenomeError as error:
            impossible.append(f"{describe(values_of(genome, axes))}: {error}")
    return list(found), impossible


def _with_steps(genome: Genome, choice: Choice, axes: Axes) -> Genome:
    """Return a genome with as many steps as the operations of the chosen settings allow."""
    config = replace(genome.train_config(seed=0), evaluations=choice.config.evaluations)
    model = genome.model(choice.model.vocab_size)
    length = choice.sizes.chunk_length(genome.block_size)
    fit = with_steps(config, model, choice.operations, length)
    is_warmed_up = choice.config.warmup_steps and "warmup_steps" not in axes
    warmup = fit.warmup_steps if is_warmed_up else genome.warmup_steps
    return replace(genome, steps=fit.steps, warmup_steps=warmup)
