"""Sweeps from Python, and what they share with the command: settings, objective, results."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from microgpt import (
    DEFAULT_SEED,
    ConfigError,
    Document,
    check_setting,
    checked,
    describe_read,
    split,
)
from microgpt_evolution.evolution_errors import raised_as
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.strategies.grid import grid
from microgpt_evolution.study import open_in_python
from microgpt_evolution.study_settings import HELD_OUT, SweepSettings, facts_of
from microgpt_evolution.trial import TrialRecord
from microgpt_evolution.workers import Workers

MAX_SEEDS = 1000  # training runs per model
N_SAMPLES = 3  # number of samples per model, as in the tables of evolve-rust


def sweep(
    docs: Sequence[Document],
    axes: Mapping[str, Sequence[Any]],
    *,
    objective: Callable[..., float] | None = None,
    seeds: int = 3,
    seed: int = DEFAULT_SEED,
    workers: int | Workers | None = None,
    trial_minutes: float | None = None,
    run_dir: str | os.PathLike[str] | None = None,
) -> list[TrialRecord]:
    """Train every combination of settings, and return the results in the order of the grid.

    Each result has `genome`, `seed`, `status`, `reason`, `val_loss` (in nats per token) and, with
    an objective, its `value`. Settings that are no axes are Karpathy's, with a learning rate of
    0.005.

    Args:
        axes: lists of values, by setting, such as {"n_embd": [16, 32], "lr": [0.003, 0.01]}.
        objective: function of the trained model, an `InferenceGpt`; if its parameter is called
            `genome`, it receives the settings, a `Genome`, and nothing is trained. See `evolve`.
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
    genomes, _ = grid(axes)
    sets = split(docs, validation=HELD_OUT, test=HELD_OUT)
    facts = {"input": "documents", "has_function": objective is not None, **facts_of(sets)}
    facts |= {"trial_minutes": trial_minutes}
    settings = sweep_settings(genomes, seeds, seed=seed, **facts)
    if line := describe_read(settings.contamination):
        warnings.warn(line, stacklevel=2)
    with open_in_python(run_dir, settings, workers) as (study, pool):
        measured = LossObjective(sets, function=objective, n_samples=N_SAMPLES, text=settings.text)
        return study.measure(settings.trials, measured, pool)


def sweep_settings(
    genomes: Sequence[Genome], n_seeds: int, *, seed: int, **facts: Any
) -> SweepSettings:
    """Return the settings of a sweep with `facts`; raise ConfigError if one is out of range."""
    with raised_as(ConfigError):
        return SweepSettings(genomes=tuple(genomes), seeds=seeds_from(seed, n_seeds), **facts)


def seeds_from(first: int, n: int) -> tuple[int, ...]:
    """Return consecutive seeds; raise ConfigError if there are too many, or one is too large."""
    if n > MAX_SEEDS:
        raise ConfigError(f"seeds must be at most {MAX_SEEDS}, got {n}")
    check_setting("seed", first + n - 1)
    return tuple(range(first, first + n))
