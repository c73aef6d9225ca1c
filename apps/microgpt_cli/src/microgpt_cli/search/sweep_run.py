"""What `microgpt sweep` does, once it knows what is to be trained."""

import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import typer
from pydantic import ValidationError

from microgpt.data.dataset import Split, load_conversations, load_text, split
from microgpt.error_format import first_problem
from microgpt.errors import ConfigError
from microgpt.files.path_text import path_from_text, path_to_text
from microgpt.training.engines import prepare_engine
from microgpt_cli.commands.report import leave_report
from microgpt_cli.search.log import resumable
from microgpt_cli.search.sweep_progress import SweepProgress
from microgpt_cli.search.workers import make_pool
from microgpt_cli.terminal.console import note, say, show_while_read
from microgpt_cli.terminal.options import RUNS
from microgpt_cli.terminal.progress import duration
from microgpt_cli.training.data import check_regular, default_input
from microgpt_evolution.objectives.sweep import SweepObjective
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.records import HELD_OUT, Kind, SweepRecords, SweepSettings
from microgpt_evolution.sweep.run import run_sweep
from microgpt_evolution.workers.pools import Pool

RESUME = "microgpt sweep resume"


def begin(
    kind: Kind,
    points: Sequence[SweepConfig],
    seeds: Sequence[int],
    path: Path | None,
    *,
    chat: bool,
    workers: int | None,
    scheduler: str | None,
) -> None:
    """Make all trainings of a new sweep.

    Args:
        kind: what was asked for.
        points: what is trained.
        seeds: with each of these.
        path: of the documents, by default those that `train` takes.
        chat: whether they are conversations.
        workers: of this machine.
        scheduler: the address of a cluster instead.
    """
    pool = make_pool(workers, scheduler)
    path = path or default_input(chat=chat)
    docs = load_conversations(path) if chat else load_text(path)
    parts = split(docs, validation=HELD_OUT, test=HELD_OUT)
    track = SweepObjective.of(parts)
    try:
        settings = SweepSettings(
            sweep=kind,
            points=tuple(points),
            seeds=tuple(seeds),
            input=path_to_text(os.path.abspath(path)),
            chat=chat,
            data_sha256=parts.facts.sha256,
        )
    except ValidationError as error:  # such as a path that is no text
        raise ConfigError(first_problem(error)) from error
    with pool:
        pool.executor()  # a cluster that is not there begins no run
        with SweepRecords.begin(RUNS, "sweep", settings.model_dump(mode="json")) as records:
            _run(track, pool, records)


def go_on(run: Path, path: Path | None, workers: int | None, scheduler: str | None) -> None:
    """Make the trainings that a sweep still lacks.

    Args:
        run: its directory.
        path: of the documents, if they are no longer where they were.
        workers: of this machine.
        scheduler: the address of a cluster instead.
    """
    pool = make_pool(workers, scheduler)
    with SweepRecords.open(run) as records:
        track = SweepObjective.of(_same_documents(records.sweep, path))
        with pool:
            pool.executor()
            _run(track, pool, records)


def _same_documents(sweep: SweepSettings, path: Path | None) -> Split:
    """Return the documents of a sweep that has begun.

    Raises:
        ConfigError: these are others.
    """
    if path is None:
        path = path_from_text(sweep.input)
        check_regular(path, "name the documents of this sweep with --input")
    docs = load_conversations(path) if sweep.chat else load_text(path)
    parts = split(docs, validation=sweep.val_fraction, test=sweep.test_fraction)
    if parts.facts.sha256 != sweep.data_sha256:
        raise ConfigError(
            f"{path} is not what the sweep began with: its documents have another sha256; "
            "name the old file with --input"
        )
    return parts


def _run(track: SweepObjective, pool: Pool, records: SweepRecords) -> None:
    """Make what is not on record, and tell of it."""
    started = perf_counter()
    sweep = records.sweep
    dtypes = sorted({point.dtype for point in sweep.points})
    prepare_engine("compiled", *dtypes, uses=["training", "evaluation", "generation"], tell=note)
    todo = {task: track.flops(task[0]) for task in records.todo()}
    with resumable(records, RESUME):
        if todo:
            with SweepProgress(todo) as progress:
                run_sweep(track, pool, records, on_result=progress.update)
        records.write_table()
    n_ok = sum(result.is_ok for result in records.results)
    if not n_ok:
        say(f"error: no training came to its end; see {records.directory}")
        raise typer.Exit(1)
    took = duration(perf_counter() - started)
    show_while_read(f"{n_ok} of {len(sweep.tasks)} trainings, {len(todo)} of them made in {took}")
    show_while_read(f"Saved to {records.directory}")
    leave_report(records.directory)
