"""Run or resume a sweep of `microgpt sweep`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import typer
from pydantic import ValidationError

from microgpt import (
    NAMES_SHA256,
    ConfigError,
    ReadOptions,
    Split,
    TimeLimit,
    check_engine,
    count,
    default_engine,
    duration,
    explain_settings,
    fingerprint,
    first_problem,
    load_documents,
    plural,
    split,
)
from microgpt_cli.model_loading import default_input
from microgpt_cli.terminal.console import note, print_or_discard, say
from microgpt_cli.terminal.options import DEFAULT_CHAT, DEFAULT_TEXT
from microgpt_cli.terminal.progress import ProgressBar, load_kernels, time_left
from microgpt_evolution.commands.experiment import as_setting, documents_again, open_pool, resumable
from microgpt_evolution.commands.runs import RUNS, write_final_report
from microgpt_evolution.commands.sweep_ranking import describe_sweep
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.runs.run_directory import HELD_OUT
from microgpt_evolution.sweep.chosen import fitting_for, grid_around
from microgpt_evolution.sweep.config import describe, differing, grid
from microgpt_evolution.sweep.records import (
    ChosenSettings,
    Kind,
    SweepRecords,
    SweepSettings,
)
from microgpt_evolution.workers.pools import Pool

Given = Mapping[str, Any]  # options that the user has given, by name


def start_sweep(kind: Kind, configs: Sequence[Genome], given: Given) -> None:
    """Run a new sweep of Karpathy's settings with the options of the command."""
    docs = load_documents(_input(given), ReadOptions.of({**given, "text": "lines"}), tell=note)
    parts = split(docs, validation=HELD_OUT, test=HELD_OUT)
    _start(kind, configs, given, parts)


def start_grid(axes: Mapping[str, Sequence[Any]], given: Given) -> None:
    """Run a new grid around the settings that `train` chooses, or around Karpathy's."""
    how = {**given, "text": "lines"} if "preset" in given else given
    limits = {name: given[name] for name in ("minutes", "budget") if name in given}
    docs = load_documents(_input(given), ReadOptions.of(how), tell=note)
    is_karpathys = not isinstance(docs, str) and fingerprint(docs) == NAMES_SHA256
    if "preset" in given or (is_karpathys and not limits):
        configs, impossible = grid(axes)
        parts, chosen = split(docs, validation=HELD_OUT, test=HELD_OUT), None
    else:
        limit = TimeLimit(given["minutes"], perf_counter()) if "minutes" in given else None
        fitting = fitting_for(docs, limits, load_kernels=load_kernels, tell=note)
        fitted, parts = fitting.fit(limit), fitting.parts
        configs, impossible, chosen = grid_around(fitting, fitted, axes)
        for line in explain_settings(fitted):
            print_or_discard(line)
    for problem in impossible:
        note(f"skipped: {problem}")
    _start("grid", configs, given, parts, chosen)


def _input(given: Given) -> Path:
    path: Path | None = given.get("input")
    return path or default_input(DEFAULT_CHAT if "chat" in given else DEFAULT_TEXT)


def _start(
    kind: Kind,
    configs: Sequence[Genome],
    given: Given,
    parts: Split,
    chosen: ChosenSettings | None = None,
) -> None:
    seed, n_seeds = given["seed"], given["seeds"]
    try:
        settings = SweepSettings(
            sweep=kind,
            genomes=tuple(configs),
            seeds=tuple(range(seed, seed + n_seeds)),
            input=as_setting(_input(given)),
            chat="chat" in given,
            column=given.get("column"),
            me=given.get("me"),
            separator=given.get("separator"),
            data_sha256=parts.facts.sha256,
            val_fraction=parts.val_fraction,
            test_fraction=parts.test_fraction,
            text="stream" if parts.gap is not None else "lines",
            gap=parts.gap or 0,
            chosen=chosen,
        )
    except ValidationError as error:
        raise ConfigError(first_problem(error)) from error
    objective = SweepObjective.of(parts, settings)
    with (
        open_pool(given, n_trials=len(configs) * n_seeds) as pool,
        SweepRecords.begin(RUNS, "sweep", settings) as records,
    ):
        _run(objective, pool, records)


def resume(given: Given) -> None:
    """Run the remaining trials of a sweep; `input` is required if the documents were moved."""
    with SweepRecords.open(given["run"]) as records:
        sweep = records.settings
        if sweep.has_function:
            raise ConfigError("the sweep measures a function; resume it with sweep() in Python")
        objective = SweepObjective.of(documents_again(sweep, given.get("input")), sweep)
        with open_pool(given, n_trials=len(records.todo())) as pool:
            _run(objective, pool, records)


def _run(objective: SweepObjective, pool: Pool, records: SweepRecords) -> None:
    """Run the trials without a recorded result, and print a summary."""
    started, sweep, todo = perf_counter(), records.settings, records.todo()
    dtypes, engine = sorted({genome.dtype for genome in sweep.genomes}), default_engine()
    for dtype in dtypes:
        check_engine(engine, dtype)
    with resumable(records):
        load_kernels(engine, *dtypes, uses=["training", "evaluation", "generation"])
        if todo:
            n_models = len({trial.genome for trial in todo})
            print_or_discard(
                f"{count(len(todo), 'training run')} of {count(n_models, 'model')}, "
                f"{pool.n_workers()} in parallel"
            )
            with SweepProgress(todo, objective) as progress:
                CachedEvaluator(objective, pool, records).measure(todo, progress.update)
        records.write_table()
    n_ok = sum(result.is_ok for result in records.results)
    if not n_ok:
        say(f"error: no training run completed; see {records.directory}")
        raise typer.Exit(1)
    took = duration(round(perf_counter() - started))
    print_or_discard(
        f"{n_ok} of {len(sweep.tasks)} {plural('training run', len(sweep.tasks))} completed; "
        f"ran {len(todo)} in {took}"
    )
    print_or_discard(f"Saved to {records.directory}")
    for line in describe_sweep(sweep, records.results, records.directory):
        print_or_discard(line)
    write_final_report(records.directory)


class SweepProgress(ProgressBar):
    """Progress of a sweep. The time left is estimated from the FLOPs of the trials."""

    def __init__(self, todo: Sequence[Trial], objective: SweepObjective) -> None:
        super().__init__("training", len(todo))
        self._todo, self._flops = todo, [objective.flops(trial.genome) for trial in todo]
        self._flops_left, self._flops_done = sum(self._flops), 0
        self._names = differing(trial.genome for trial in todo)
        self._noted: set[tuple[Genome, str]] = set()  # with the status
        self._started = perf_counter()
        self._show()

    def update(self, i: int, evaluation: Evaluation) -> None:
        """Count a finished trial; print the reason for a failure once per configuration."""
        config, status = self._todo[i].genome, evaluation.status
        self._flops_left -= self._flops[i]
        if status == "ok":
            self._flops_done += self._flops[i]
        elif (config, status) not in self._noted:
            self._noted.add((config, status))
            self.stop()
            which = describe(values_of(config, self._names)) or "the model"
            note(f"{which}: {status}, {evaluation.reason}")
        self._show(1)

    def _show(self, n_more: int = 0) -> None:
        done = self._done + n_more
        rate = self._flops_done / (perf_counter() - self._started)
        left = time_left(self._flops_left, rate) if self._flops_left else "done"
        self.show(done, left, f"training {done} / {self._total} | {left}")
