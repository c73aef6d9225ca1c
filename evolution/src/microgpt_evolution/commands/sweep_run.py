"""Run or resume a sweep of `microgpt sweep`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import typer

from microgpt import (
    DEFAULT_DTYPE,
    NAMES_SHA256,
    ConfigError,
    Given,
    TimeLimit,
    check_engine,
    count,
    default_engine,
    duration,
    explain_settings,
    fingerprint,
    split,
)
from microgpt_cli.terminal.console import note, print_or_discard, say
from microgpt_cli.terminal.progress import load_kernels
from microgpt_evolution.commands import study
from microgpt_evolution.commands.runs import RUNS, write_final_report
from microgpt_evolution.commands.sweep_ranking import describe_sweep
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.runs.run_directory import HELD_OUT
from microgpt_evolution.sweep.config import describe, differing
from microgpt_evolution.sweep.grid_sweep import PlannedGrid, plan_grid
from microgpt_evolution.sweep.sweep_records import Kind, SweepRecords
from microgpt_evolution.workers.pools import Pool


def start_sweep(kind: Kind, genomes: Sequence[Genome], given: Given) -> None:
    """Run a new sweep of Karpathy's settings with the options of the command."""
    path, docs = study.new_documents({**given, "text": "lines"})
    parts = split(docs, validation=HELD_OUT, test=HELD_OUT)
    _start(kind, PlannedGrid(genomes, (), parts), given, path)


def start_grid(axes: Mapping[str, Sequence[Any]], given: Given) -> None:
    """Run a new grid around the settings that `train` chooses, or around Karpathy's."""
    limits = study.limits_of(given)
    path, docs = study.new_documents({**given, "text": "lines"} if "preset" in given else given)
    is_karpathys = not isinstance(docs, str) and fingerprint(docs) == NAMES_SHA256
    if "preset" in given or (is_karpathys and not limits):
        plan = plan_grid(docs, axes, None)
    else:
        limit = None
        if minutes := given.get("minutes"):
            limit = TimeLimit(minutes, perf_counter(), load_kernels=load_kernels)
        plan = plan_grid(docs, axes, limits, limit, tell=note)
    for line in explain_settings(plan.choice) if plan.choice else ():
        print_or_discard(line)
    for problem in plan.skipped:
        note(f"skipped: {problem}")
    _start("grid", plan, given, path)


def _start(kind: Kind, plan: PlannedGrid, given: Given, path: Path) -> None:
    settings = plan.settings(n_seeds=given["seeds"], sweep=kind, **study.recorded(given, path))
    objective = SweepObjective.of_sweep(plan.parts, settings)
    with (
        study.open_pool(given, n_trials=len(settings.tasks)) as pool,
        SweepRecords.begin(RUNS, "sweep", settings) as records,
    ):
        _run(objective, pool, records)


def resume(run: Path, path: Path | None, given: Given) -> None:
    """Run the remaining trials of a sweep; a path is required if the documents were moved."""
    with SweepRecords.open(run) as records:
        sweep = records.settings
        if sweep.has_function:
            raise ConfigError("the sweep measures a function; resume it with sweep() in Python")
        objective = SweepObjective.of_sweep(study.documents_again(sweep, path), sweep)
        with study.open_pool(given, n_trials=len(records.todo())) as pool:
            _run(objective, pool, records)


def _run(objective: SweepObjective, pool: Pool, records: SweepRecords) -> None:
    """Run the trials without a recorded result, and print a summary."""
    started, sweep, todo = perf_counter(), records.settings, records.todo()
    study.note_read(sweep)
    engine = default_engine()
    dtypes = sorted({genome.dtype or DEFAULT_DTYPE[engine] for genome in sweep.genomes})
    for dtype in dtypes:
        check_engine(engine, dtype)
    with study.resumable(records):
        load_kernels(engine, *dtypes, uses=["training", "evaluation", "generation"])
        if todo:
            n_models = len({trial.genome for trial in todo})
            print_or_discard(
                f"{count(len(todo), 'training run')} of {count(n_models, 'model')}, "
                f"{pool.n_workers()} in parallel"
            )
            _measure(CachedEvaluator(objective, pool, records), todo, objective)
        records.write_table()
    n_ok = sum(result.is_ok for result in records.results)
    if not n_ok:
        say(f"error: no training run completed; see {records.directory}")
        raise typer.Exit(1)
    took = duration(round(perf_counter() - started))
    print_or_discard(
        f"{n_ok:,} of {count(len(sweep.tasks), 'training run')} completed; "
        f"ran {len(todo)} in {took}"
    )
    print_or_discard(f"Saved to {records.directory}")
    for line in describe_sweep(sweep, records.results, records.directory):
        print_or_discard(line)
    write_final_report(records.directory)


def _measure(evaluator: CachedEvaluator, todo: Sequence[Trial], objective: SweepObjective) -> None:
    """Run the trials; show the progress, and the reason for a failure once per genome."""
    flops, names = [objective.flops(trial) for trial in todo], differing(t.genome for t in todo)
    with study.StudyProgress("training", len(todo)) as progress:
        n_done, done, left = 0, 0, sum(flops)
        progress.update(n_done, done, left)

        def update(i: int, evaluation: Evaluation) -> None:
            nonlocal n_done, done, left
            genome, status = todo[i].genome, evaluation.status
            n_done, left = n_done + 1, left - flops[i]
            if status == "ok":
                done += flops[i]
            else:
                which = describe(values_of(genome, names)) or "the model"
                progress.tell(f"{which}: {status}, {evaluation.reason}", (genome, status))
            progress.update(n_done, done, left)

        evaluator.measure(todo, update)
