"""Run or resume a sweep of `microgpt sweep`."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from microgpt import (
    NAMES_SHA256,
    ConfigError,
    Document,
    Given,
    Split,
    TextKind,
    TimeLimit,
    count,
    duration,
    explain_settings,
    fingerprint,
    split,
)
from microgpt_cli.terminal.console import note, print_or_discard
from microgpt_cli.terminal.progress import load_kernels
from microgpt_evolution.commands.progress import StudyProgress
from microgpt_evolution.commands.study import Plan, limits_of, open_study
from microgpt_evolution.commands.sweep import check_seeds
from microgpt_evolution.commands.sweep_ranking import describe_sweep
from microgpt_evolution.errors import NoWinnerError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.strategies.grid import describe, differing
from microgpt_evolution.study import HELD_OUT
from microgpt_evolution.sweep.grid_sweep import PlannedGrid, objective_of, plan_grid
from microgpt_evolution.sweep.sweep_settings import Kind, SweepRecords, SweepSettings
from microgpt_evolution.trial import Evaluation, Trial
from microgpt_evolution.workers import Workers

Documents = Sequence[Document] | str


def start_sweep(kind: Kind, genomes: Sequence[Genome], given: Given) -> None:
    """Run a new sweep of Karpathy's settings."""

    def plan(docs: Documents, facts: Mapping[str, Any], _: int) -> tuple[SweepSettings, Split]:
        parts = split(docs, validation=HELD_OUT, test=HELD_OUT)
        grid = PlannedGrid(genomes, (), parts)
        return grid.settings(n_seeds=given["seeds"], sweep=kind, **facts), parts

    _run(given, plan, "lines")


def start_grid(axes: Mapping[str, Sequence[Any]], given: Given) -> None:
    """Run a new grid around the settings that `train` chooses, or around Karpathy's."""

    def plan(docs: Documents, facts: Mapping[str, Any], _: int) -> tuple[SweepSettings, Split]:
        limits, limit = limits_of(given), None
        is_karpathys = not isinstance(docs, str) and fingerprint(docs) == NAMES_SHA256
        if minutes := given.get("minutes"):
            limit = TimeLimit(minutes, perf_counter(), load_kernels=load_kernels)
        around = None if is_karpathys and not limits else limits
        grid = plan_grid(docs, axes, around, limit, tell=note)
        for line in explain_settings(grid.choice) if grid.choice else ():
            print_or_discard(line)
        for problem in grid.skipped:
            note(f"skipped: {problem}")
        return grid.settings(n_seeds=given["seeds"], sweep="grid", **facts), grid.parts

    _run(given, plan)


def resume(given: Given) -> None:
    """Run the remaining trials of a sweep, and those of more seeds."""
    _run(given)


def _run(
    given: Given, plan: Plan[SweepSettings] | None = None, text: TextKind | None = None
) -> None:
    """Run the trials without a recorded result, and print a summary."""
    started = perf_counter()
    with open_study(given, SweepRecords, plan, text=text) as (study, parts, pool):
        if not plan and "seeds" in given:
            study.change(_with_seeds(study.settings, given["seeds"]))
        sweep, todo = study.settings, study.todo()
        objective = objective_of(parts, sweep)
        if todo:
            n_models = len({trial.genome for trial in todo})
            print_or_discard(
                f"{count(len(todo), 'training run')} of {count(n_models, 'model')}, "
                f"{pool.n_workers()} in parallel"
            )
            _measure(study, todo, objective, pool)
        n_ok = sum(result.is_ok for result in study.results)
        if not n_ok:
            raise NoWinnerError("no training run completed")
        took = duration(round(perf_counter() - started))
        print_or_discard(
            f"{n_ok:,} of {count(len(sweep.tasks), 'training run')} completed; "
            f"ran {len(todo)} in {took}"
        )
        print_or_discard(f"Saved to {study.directory}")
        for line in describe_sweep(sweep, study.results, study.directory):
            print_or_discard(line)


def _with_seeds(sweep: SweepSettings, n_seeds: int) -> SweepSettings:
    """Return the settings with more seeds, and say what they add."""
    n_known, first = len(sweep.seeds), sweep.seeds[0]
    if n_seeds <= n_known:
        known = count(n_known, "seed")
        raise ConfigError(f"the sweep has {known}; pass more with --seeds, or omit it")
    check_seeds(n_seeds, first)
    more = count((n_seeds - n_known) * len(sweep.genomes), "training run")
    note(f"{n_seeds - n_known} more seeds add {more}")
    return sweep.model_copy(update={"seeds": tuple(range(first, first + n_seeds))})


def _measure(
    study: SweepRecords, todo: Sequence[Trial], objective: LossObjective, workers: Workers
) -> None:
    """Run the trials, and show the progress."""
    flops, names = [objective.flops(trial) for trial in todo], differing(t.genome for t in todo)
    with StudyProgress() as progress:
        n_done, done, left = 0, 0.0, sum(flops)

        def update() -> None:
            progress.update(done, left, f"{n_done:,} of {count(len(todo), 'training run')}")

        def note_measured(i: int, evaluation: Evaluation) -> None:
            nonlocal n_done, done, left
            n_done, left, done = n_done + 1, left - flops[i], done + flops[i]
            which = describe(values_of(todo[i].genome, names)) or "the model"
            progress.remark(which, evaluation)
            update()

        update()
        study.measure(todo, objective, workers, note_measured)
