"""Run or resume the trainings of `microgpt sweep`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import typer
from pydantic import ValidationError

from microgpt.config import check_count, check_seed
from microgpt.data.documents import load_conversations, load_text
from microgpt.data.split import Split, split
from microgpt.error_format import first_problem
from microgpt.errors import ConfigError
from microgpt.files.path_text import path_from_text, path_to_text
from microgpt.training.engines import prepare_engine
from microgpt_cli.commands.report import leave_report
from microgpt_cli.input_files import check_regular, default_input
from microgpt_cli.search.log import resumable
from microgpt_cli.search.sweep_progress import SweepProgress
from microgpt_cli.search.workers import make_pool
from microgpt_cli.terminal.console import note, say, show_while_read
from microgpt_cli.terminal.options import RUNS
from microgpt_cli.terminal.progress import duration
from microgpt_evolution.objectives.sweep_objective import SweepObjective
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.records import HELD_OUT, Kind, SweepRecords, SweepSettings
from microgpt_evolution.sweep.run import run_sweep
from microgpt_evolution.workers.pools import Pool

RESUME = "microgpt sweep resume"
MAX_SEEDS = 1000


def begin(kind: Kind, configs: Sequence[SweepConfig], options: Mapping[str, Any]) -> None:
    """Run all trainings of a new sweep, with the options of its command."""
    seed, n_seeds, chat = options["seed"], options["seeds"], options["chat"]
    check_count("seeds", n_seeds)
    if n_seeds > MAX_SEEDS:
        raise ConfigError(f"seeds must be at most {MAX_SEEDS}, got {n_seeds}")
    check_seed(seed)
    check_seed(seed + n_seeds - 1)
    pool = make_pool(options["workers"], options["scheduler"])
    path = options["input"] or default_input(chat=chat)
    parts = _load(path, chat=chat, validation=HELD_OUT, test=HELD_OUT)
    objective = SweepObjective.of(parts)
    try:
        settings = SweepSettings(
            sweep=kind,
            points=tuple(configs),
            seeds=tuple(range(seed, seed + n_seeds)),
            input=path_to_text(os.path.abspath(path)),
            chat=chat,
            data_sha256=parts.facts.sha256,
        )
    except ValidationError as error:  # such as a path that is no text
        raise ConfigError(first_problem(error)) from error
    with pool:
        pool.executor()  # without a cluster no run begins
        with SweepRecords.begin(RUNS, "sweep", settings.model_dump(mode="json")) as records:
            _run(objective, pool, records)


def resume(run: Path, path: Path | None, workers: int | None, scheduler: str | None) -> None:
    """Run the trainings that a sweep lacks; the path is that of documents that were moved."""
    pool = make_pool(workers, scheduler)
    with SweepRecords.open(run) as records:
        sweep = records.sweep
        if path is None:
            path = path_from_text(sweep.input)
            check_regular(path, "name the documents of this sweep with --input")
        parts = _load(
            path, chat=sweep.chat, validation=sweep.val_fraction, test=sweep.test_fraction
        )
        if parts.facts.sha256 != sweep.data_sha256:
            raise ConfigError(
                f"{path} is not what the sweep began with: its documents have another sha256; "
                "name the old file with --input"
            )
        objective = SweepObjective.of(parts)
        with pool:
            pool.executor()
            _run(objective, pool, records)


def _load(path: Path, *, chat: bool, validation: float, test: float) -> Split:
    docs = load_conversations(path) if chat else load_text(path)
    return split(docs, validation=validation, test=test)


def _run(objective: SweepObjective, pool: Pool, records: SweepRecords) -> None:
    """Run the trainings that are not on record, and report the result."""
    started = perf_counter()
    sweep = records.sweep
    dtypes = sorted({config.dtype for config in sweep.configs})
    prepare_engine("compiled", *dtypes, uses=["training", "evaluation", "generation"], tell=note)
    todo = {(t.config, t.seed): objective.flops(t.config) for t in records.todo()}
    with resumable(records, RESUME):
        if todo:
            with SweepProgress(todo) as progress:
                run_sweep(objective, pool, records, on_result=progress.update)
        records.write_table()
    n_ok = sum(result.is_ok for result in records.results)
    if not n_ok:
        say(f"error: no training came to its end; see {records.directory}")
        raise typer.Exit(1)
    took = duration(perf_counter() - started)
    show_while_read(f"{n_ok} of {len(sweep.tasks)} trainings, {len(todo)} of them made in {took}")
    show_while_read(f"Saved to {records.directory}")
    leave_report(records.directory)
