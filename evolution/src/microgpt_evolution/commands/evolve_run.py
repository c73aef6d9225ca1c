"""Run or resume the search of `microgpt evolve`, and save the winner."""

from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import typer

from microgpt import ConfigError, MicrogptError, Split, as_argument, count, load_text, split
from microgpt_cli.model_loading import default_input
from microgpt_cli.terminal.console import note, print_or_discard, say
from microgpt_cli.terminal.progress import load_kernels
from microgpt_evolution.commands import winner
from microgpt_evolution.commands.evolve_comparison import describe_comparison
from microgpt_evolution.commands.experiment import (
    as_setting,
    documents_again,
    open_pool,
    resumable,
)
from microgpt_evolution.commands.options import EvolveOptions
from microgpt_evolution.commands.progress import SearchLog, SearchProgress
from microgpt_evolution.commands.runs import RUNS, write_final_report
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import GENES, Genome
from microgpt_evolution.genome_file import BudgetedRecord, read_genome
from microgpt_evolution.search.evolve import EvolutionResult, run_search
from microgpt_evolution.search.genome_operators import Operators
from microgpt_evolution.search.log import Log, Trace, retest_table
from microgpt_evolution.search.records import Records
from microgpt_evolution.search.runner import Listener
from microgpt_evolution.search.settings import HELD_OUT, SearchSettings, describe_documents
from microgpt_evolution.space import read_space
from microgpt_evolution.workers.pools import Pool


def run(options: EvolveOptions) -> None:
    """Run or resume a search."""
    with ExitStack() as stack:
        resumed = stack.enter_context(Records.open(options.resume)) if options.resume else None
        model_dir = winner.model_directory(options, resumed)
        settings, parts = _prepare(options, resumed)
        pool = stack.enter_context(open_pool(options, n_trials=settings.n_concurrent))
        load_kernels(None, uses=["training", "evaluation", "generation"])
        records = resumed or stack.enter_context(Records.begin(RUNS, "evolve", settings))
        print_or_discard(
            f"Search: {settings.objective}, {settings.generations} generations, population "
            f"{settings.population}, seed {settings.seed}, {count(pool.n_workers(), 'worker')}; "
            f"run: {records.directory}"
        )
        n_known, resume = records.n_known, winner.resume_command(options, records)
        with resumable(records, resume):
            result = _search(options, parts, pool, records, model_dir)
    last = max(int(entry.id[1:].partition("-")[0]) for entry in result.run.lines)
    if options.stop_after_minutes and last < settings.n_generations:
        note(
            f"time limit reached after generation {last} of {settings.n_generations}; "
            f"continue with: {resume} {as_argument(records.directory)}"
        )
    elif resumed and records.n_known == n_known:
        note("the search had finished; its recorded results were used again")
    write_final_report(records.directory)


def _prepare(options: EvolveOptions, resumed: Records | None) -> tuple[SearchSettings, Split]:
    genome = _ancestor(options.warm_start) if options.warm_start else None
    space = read_space(options.space, GENES) if options.space else None
    if resumed:
        settings = resumed.settings
        settings.check(options.values(), genome, space)
        if settings.fitness == "own":
            raise ConfigError("the search minimises a function; resume it with evolve() in Python")
        held_out = {"validation": settings.val_fraction, "test": settings.test_fraction}
        return settings, documents_again(
            settings,
            options.input,
            lambda path: split(load_text(path, column=settings.column), **held_out),
        )
    path, column = options.input or default_input(), options.column
    parts = split(load_text(path, column=column, tell=note), validation=HELD_OUT, test=HELD_OUT)
    settings = SearchSettings.begin(
        options.values(),
        input=as_setting(path),
        column=column,
        seed=options.seed,
        train_winner=as_setting(options.train_winner) if options.train_winner else None,
        warm_start=genome,
        space=space,
        **describe_documents(parts),
    )
    if space:  # fail before creating a run if the space has too few valid genomes
        operators = Operators.of(space)
        operators.mutate(operators.random(Random(0)), Random(0))
    return settings, parts


def _search(
    options: EvolveOptions, parts: Split, pool: Pool, records: Records, model_dir: Path | None
) -> EvolutionResult:
    """Search, show the progress, and save the log and the winner."""
    settings = records.settings
    progress = SearchProgress(settings.n_generations)
    with SearchLog(records.log, progress) as log:
        listeners: list[Listener] = [Log(log), Trace(say) if options.trace else progress]
        on_event = None if options.trace else progress.update
        minutes = options.stop_after_minutes
        result = run_search(parts, pool, records, listeners, on_event, minutes)
        progress.stop()
        if result is None:
            say(f"error: no organism finished training; see {records.log}")
            raise typer.Exit(1)
        winner.write_if_better(result.record, log, force=options.force)
        for line in retest_table(result.winner.found, result.retest):
            log(line)
        for name in result.names:
            log(f"> {name}")
        if model_dir:
            winner.save_model(result.retest.result, result.record, model_dir)
        with suppress(MicrogptError):  # the results are saved; the comparison is only printed
            for line in describe_comparison(result, settings, parts):
                log(line)
    return result


def _ancestor(path: Path) -> Genome:
    record = read_genome(path)
    if isinstance(record, BudgetedRecord):
        raise GenomeError(f"{path} is from a search with a budget; add --minutes or --budget")
    return record.genome
