"""Run or resume the search of `microgpt evolve`, and save the winner."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from random import Random

import typer

from microgpt import (
    ConfigError,
    Given,
    MicrogptError,
    Split,
    cannot_write,
    count,
    split,
)
from microgpt_cli.terminal.console import note, print_or_discard, say
from microgpt_cli.terminal.progress import load_kernels
from microgpt_evolution.commands import study, winner
from microgpt_evolution.commands.evolve_comparison import describe_comparison
from microgpt_evolution.commands.runs import RUNS, write_final_report
from microgpt_evolution.errors import NoWinnerError
from microgpt_evolution.runs.run_directory import HELD_OUT
from microgpt_evolution.search.evolve import run_search
from microgpt_evolution.search.genome_operators import Operators
from microgpt_evolution.search.log import describe, retest_table
from microgpt_evolution.search.runner import SearchEvent
from microgpt_evolution.search.search_records import Records, SearchSettings, describe_documents
from microgpt_evolution.workers.pools import Pool

N_FAILURES = 3  # maximum number of printed failures; the run records all of them


def run(given: Given) -> None:
    """Run or resume a search."""
    with ExitStack() as stack:
        resumed = stack.enter_context(Records.open(given["resume"])) if "resume" in given else None
        model_dir = winner.model_directory(given, resumed)
        settings, parts = _prepare(given, resumed)
        pool = stack.enter_context(study.open_pool(given, n_trials=settings.n_concurrent))
        load_kernels(None, uses=["training", "evaluation", "generation"])
        records = resumed or stack.enter_context(Records.begin(RUNS, "evolve", settings))
        print_or_discard(
            f"Search: {settings.objective}, {settings.generations} generations, population "
            f"{settings.population}, seed {settings.seed}, {count(pool.n_workers(), 'worker')}; "
            f"run: {records.directory}"
        )
        study.note_read(settings)
        n_known = records.n_known
        with study.resumable(records, winner.resume_command(given, records)):
            _search(given, parts, pool, records, model_dir)
    if resumed and records.n_known == n_known:
        note("the search had finished; its recorded results were used again")
    write_final_report(records.directory)


def _prepare(given: Given, resumed: Records | None) -> tuple[SearchSettings, Split]:
    if resumed:
        if resumed.settings.fitness == "own":
            raise ConfigError("the search minimises a function; resume it with evolve() in Python")
        return resumed.settings, study.documents_again(resumed.settings, given.get("input"))
    genome, space = study.start_of(given, "add --minutes or --budget", is_budgeted=False)
    path, docs = study.new_documents({**given, "text": "lines"})
    parts = split(docs, validation=HELD_OUT, test=HELD_OUT)
    facts = study.recorded(given, path) | describe_documents(parts)
    settings = SearchSettings.begin(given, warm_start=genome, space=space, **facts)
    if space:  # fail before creating a run if the space has too few valid genomes
        operators = Operators.of(space)
        operators.mutate(operators.random(Random(0)), Random(0))
    return settings, parts


def _search(
    given: Given, parts: Split, pool: Pool, records: Records, model_dir: Path | None
) -> None:
    """Search, show the progress, and save the log and the winner."""
    settings = records.settings
    with study.StudyProgress("generation", settings.n_generations) as progress:
        log = _log_to(records.log, progress)
        on_event = _trace if "trace" in given else partial(_follow, progress)
        try:
            result = run_search(parts, pool, records, log, on_event)
        except NoWinnerError as error:
            progress.stop()
            say(f"error: no organism finished training; see {records.log}")
            raise typer.Exit(1) from error
        progress.stop()
        winner.write_if_better(result.record, log, settings.mark(), force="force" in given)
        for line in retest_table(result.winner.found, result.retest, settings):
            log(line)
        for name in result.names:
            log(f"> {name}")
        if model_dir:
            winner.save_model(result.retest.result, result.record, model_dir)
        with suppress(MicrogptError):  # the results are saved; the comparison is only printed
            for line in describe_comparison(result, settings, parts):
                log(line)


def _trace(event: SearchEvent) -> None:
    """Print a line for each organism that has been evaluated, now or in an earlier generation."""
    is_beginning = event.stage == "generation" and not event.organism
    for organism in event.organisms if is_beginning else [event.organism]:
        if organism and organism.evaluation:
            say(describe(organism))


def _follow(progress: study.StudyProgress, event: SearchEvent) -> None:
    """Show the champions, the species and the time left of a search, and the first failures."""
    evaluation = event.organism.evaluation if event.organism else None
    has_failed = evaluation and evaluation.status in ("crashed", "refused")
    if event.organism and has_failed and len(progress.told) < N_FAILURES:
        progress.tell(describe(event.organism))
    bests = sorted(event.champions.items())  # they come as their evaluations end
    best = ", ".join(f"{name} {o.worth:.4f}" for name, o in bests).lower()
    what = "retests" if event.stage == "again" else "organisms"
    figures = f"{best or 'no champion yet'} | {event.n_done} of {event.n_all} {what}"
    figures += f", {event.n_species} species"
    if event.stagnation is not None:
        figures += f", stagnation {event.stagnation}"
    ended = max(0, event.generation - (event.stage == "generation"))
    n_left = event.n_all - event.n_done + event.n_later
    progress.update(ended, event.n_measured, n_left, figures)


def _log_to(path: Path, progress: study.StudyProgress) -> Callable[[str], None]:
    """Return a function that writes a line to the log and prints it in place of the progress.

    It raises CheckpointError if the log cannot be written.
    """
    mode = "w"

    def log(line: str) -> None:
        nonlocal mode
        progress.stop()
        print_or_discard(line)
        try:
            with path.open(mode, encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise cannot_write(path.parent, error) from error
        mode = "a"

    return log
