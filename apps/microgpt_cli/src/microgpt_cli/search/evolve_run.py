"""Run or resume the search of `microgpt evolve`, and save the winner."""

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import typer

from microgpt.amounts import count
from microgpt.data.documents import load_text
from microgpt.data.split import Split, split
from microgpt.errors import MicrogptError
from microgpt.files.atomic_files import as_argument, check_place, remove_unfinished
from microgpt.files.path_text import path_from_text, path_to_text
from microgpt.storage.model_directory import save
from microgpt_cli.input_files import check_data, check_regular, default_input
from microgpt_cli.search.evolve_comparison import describe_comparison, describe_left_out
from microgpt_cli.search.log import SearchLog, resumable
from microgpt_cli.search.options import EvolveOptions
from microgpt_cli.search.run_report import write_final_report
from microgpt_cli.search.sweep_ranking import data_options
from microgpt_cli.search.table import ProgressLines, SearchTable
from microgpt_cli.search.workers import make_pool
from microgpt_cli.terminal.console import note, print_or_discard, say
from microgpt_cli.terminal.options import DEFAULT_GENOME, RUNS
from microgpt_cli.terminal.progress import load_kernels, rich_console
from microgpt_cli.training.replacement import confirm_replacement, has_genome
from microgpt_evolution.budgeted.records import BudgetedRecords
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.evolve_rust import loss_log_end
from microgpt_evolution.evolve_rust.listeners import LOGS, Trace
from microgpt_evolution.genome import GENES, Genome
from microgpt_evolution.genome_file import (
    GENOME,
    AnyRecord,
    BudgetedRecord,
    encode_genome,
    read_genome,
    replaces,
    score_of,
    write_genome,
)
from microgpt_evolution.search.evolve import EvolutionResult, run_search
from microgpt_evolution.search.genome_operators import Operators
from microgpt_evolution.search.records import Records
from microgpt_evolution.search.runner import Listener
from microgpt_evolution.search.settings import HELD_OUT, SearchSettings, describe_documents
from microgpt_evolution.space_file import read_space

AnyRecords = Records | BudgetedRecords


def run(options: EvolveOptions) -> None:
    """Run or resume a search."""
    force = options.force
    with ExitStack() as stack:
        resumed = stack.enter_context(Records.open(options.resume)) if options.resume else None
        model_dir = model_directory(options, resumed)
        check_outputs(model_dir, force=force, run=resumed)
        settings, parts = _prepare(options, resumed)
        pool = make_pool(
            options.workers,
            options.scheduler,
            n_trials=settings.n_concurrent,
            trial_bytes=settings.max_bytes,
        )
        load_kernels("compiled", uses=["training", "evaluation", "generation"])
        stack.enter_context(pool)
        pool.executor()  # fail before creating a run if the cluster is unreachable
        records = resumed or stack.enter_context(Records.begin(RUNS, "evolve", settings))
        console = None if options.trace else rich_console()
        table = SearchTable(settings.n_generations, console) if console else None
        lines = ProgressLines(settings.n_generations)
        workers = count(pool.n_workers(), "worker")
        print_or_discard(
            f"Search: {settings.objective}, {settings.generations} generations, population "
            f"{settings.population}, seed {settings.seed}, {workers}; "
            f"run: {records.directory}"
        )
        n_known, resume = records.n_known, resume_command(options, records)
        with resumable(records, resume), SearchLog(records.log, table) as log:
            is_brief = not (options.trace or sys.stdout.isatty())
            listeners: list[Listener] = [LOGS[settings.objective](log.write if is_brief else log)]
            if not table:
                listeners.append(Trace(say) if options.trace else lines)
            on_event = None if options.trace else (table or lines).update
            result = run_search(
                settings, parts, pool, records, listeners, on_event, options.stop_after_minutes
            )
            log.stop_table()
            if result is None:
                say(f"error: no organism finished training; see {records.log}")
                raise typer.Exit(1)
            _save_winner(result, log, force=force, model_dir=model_dir)
            for line in loss_log_end.saved(str(records.log)):
                log(line)
    last = max(int(entry.id[1:].partition("-")[0]) for entry in result.run.lines)
    if options.stop_after_minutes and last < settings.n_generations:
        note(
            f"time limit reached after generation {last} of {settings.n_generations}; "
            f"continue with: {resume} {as_argument(records.directory)}"
        )
    elif resumed and records.n_known == n_known:
        note("the search had finished; its recorded results were used again")
    with suppress(MicrogptError):  # the results are saved; the comparison is only printed
        for line in describe_comparison(result, settings, parts):
            print_or_discard(line)
    for line in describe_left_out(result, settings, data_options(settings.input, settings.column)):
        print_or_discard(line)
    write_final_report(records.directory)


def model_directory(options: EvolveOptions, resumed: AnyRecords | None) -> Path | None:
    """Return the directory of --train-winner; a resumed run has kept it."""
    given = options.train_winner
    kept = resumed.settings.train_winner if resumed else None
    return given or (path_from_text(kept) if kept else None)


def resume_command(options: EvolveOptions, records: AnyRecords) -> str:
    """Return the command that resumes a run, without the directory of the run."""
    given = options.train_winner
    if given is None or as_setting(given) == records.settings.train_winner:
        return "microgpt evolve --resume"
    return f"microgpt evolve --train-winner {as_argument(given)} --resume"


def as_setting(path: Path | None) -> str | None:
    """Return a path as it is stored in run.json."""
    return path_to_text(os.path.abspath(path)) if path else None


def check_outputs(model_dir: Path | None, *, force: bool, run: AnyRecords | None = None) -> None:
    """Raise an error before the search starts if the results cannot be written.

    A resumed run replaces the model that it has saved itself.
    """
    if model_dir:
        check_place(model_dir)
        if not (force or (run and has_genome(model_dir, run.directory / GENOME))):
            confirm_replacement(model_dir, "--train-winner")
    if DEFAULT_GENOME.is_dir():
        raise GenomeError(f"{DEFAULT_GENOME} is a directory; rename or remove it")
    if os.path.lexists(DEFAULT_GENOME) and not force:
        try:
            read_genome(DEFAULT_GENOME)  # fail early
        except GenomeError as error:
            raise GenomeError(
                f"{error} (the winner is compared with the {DEFAULT_GENOME} of this directory; "
                "rename that file, or pass --force to replace it)"
            ) from error


def _prepare(options: EvolveOptions, resumed: Records | None) -> tuple[SearchSettings, Split]:
    """Return the settings and documents of the search."""
    path = options.input
    genome = _ancestor(options.warm_start) if options.warm_start else None
    space = read_space(options.space, GENES) if options.space else None
    if resumed:
        settings = resumed.settings
        settings.check(options.values(), genome, space)
        if path is None:
            path = path_from_text(settings.input)
            check_regular(path, "pass the documents of this run with --data")
        validation, test = settings.val_fraction, settings.test_fraction
        parts = split(load_text(path, column=settings.column), validation=validation, test=test)
        check_data(settings.data_sha256, path, parts)
        return settings, parts
    path, column = path or default_input(), options.column
    parts = split(load_text(path, column=column, tell=note), validation=HELD_OUT, test=HELD_OUT)
    settings = SearchSettings.begin(
        options.values(),
        input=path_to_text(os.path.abspath(path)),
        column=column,
        seed=options.seed,
        train_winner=as_setting(options.train_winner),
        warm_start=genome,
        space=space,
        **describe_documents(parts),
    )
    if space:  # fail before creating a run if the space has too few valid genomes
        operators = Operators.of(space)
        operators.mutate(operators.random(Random(0)), Random(0))
    return settings, parts


def _ancestor(path: Path) -> Genome:
    record = read_genome(path)
    if isinstance(record, BudgetedRecord):
        raise GenomeError(f"{path} is from a search with a budget; add --minutes or --budget")
    return record.genome


def _save_winner(
    result: EvolutionResult, log: SearchLog, *, force: bool, model_dir: Path | None
) -> None:
    """Log the winner, write genome.json and, if model_dir is given, write the trained model."""
    write_if_better(result.record, log, force=force)
    trained = result.retest.result
    for line in loss_log_end.demo(result.names, trained.losses[-1]):
        log(line)
    for line in loss_log_end.retest_table(result.winner.found, result.retest):
        log(line)
    if model_dir:
        genome_sha256 = hashlib.sha256(encode_genome(result.record)).hexdigest()
        save(replace(trained, plan=replace(trained.plan, genome_sha256=genome_sha256)), model_dir)
        note(f"the model of the winner is in {model_dir}")


def write_if_better(record: AnyRecord, log: Callable[[str], None], *, force: bool) -> None:
    """Write genome.json if it does not exist, if the genome is better, or if `force` is set."""
    is_there = os.path.lexists(DEFAULT_GENOME)
    if is_there and not force and not replaces(record, read_genome(DEFAULT_GENOME)):
        remove_unfinished(DEFAULT_GENOME.parent)  # remove files left by a killed process
        note(
            f"{DEFAULT_GENOME} was kept, because it is as good or better; pass --force to "
            "replace it"
        )
        return
    write_genome(DEFAULT_GENOME, record)
    for line in loss_log_end.genome_written(str(DEFAULT_GENOME), record.generation):
        log(line)
    how = "" if isinstance(record, BudgetedRecord) else ", measured with fresh seeds"
    note(f"{DEFAULT_GENOME} has {score_of(record)}{how}")
