"""Run or resume the search of `microgpt evolve`, and save the winner."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, Self

import typer

from microgpt import (
    DEFAULT_SEED,
    ConfigError,
    MicrogptError,
    Split,
    as_argument,
    cannot_write,
    count,
    load_text,
    split,
)
from microgpt_cli.model_loading import default_input
from microgpt_cli.terminal.console import note, print_or_discard, say
from microgpt_cli.terminal.progress import ProgressBar, load_kernels, short, time_left
from microgpt_evolution.commands import winner
from microgpt_evolution.commands.evolve_comparison import describe_comparison
from microgpt_evolution.commands.experiment import (
    as_setting,
    documents_again,
    open_pool,
    resumable,
)
from microgpt_evolution.commands.runs import RUNS, write_final_report
from microgpt_evolution.genome_file import read_genome_of
from microgpt_evolution.organism import Organism
from microgpt_evolution.runs.run_directory import HELD_OUT
from microgpt_evolution.search.evolve import EvolutionResult, run_search
from microgpt_evolution.search.genome_operators import Operators
from microgpt_evolution.search.log import Log, Trace, describe, retest_table
from microgpt_evolution.search.records import Records
from microgpt_evolution.search.runner import Listener, SearchEvent, SearchRunner
from microgpt_evolution.search.settings import SearchSettings, describe_documents
from microgpt_evolution.space import read_space
from microgpt_evolution.workers.pools import Pool

N_FAILURES = 3  # maximum number of printed failures; the run records all of them


def run(given: Mapping[str, Any]) -> None:
    """Run or resume a search."""
    with ExitStack() as stack:
        resumed = stack.enter_context(Records.open(given["resume"])) if "resume" in given else None
        model_dir = winner.model_directory(given, resumed)
        settings, parts = _prepare(given, resumed)
        pool = stack.enter_context(open_pool(given, n_trials=settings.n_concurrent))
        load_kernels(None, uses=["training", "evaluation", "generation"])
        records = resumed or stack.enter_context(Records.begin(RUNS, "evolve", settings))
        print_or_discard(
            f"Search: {settings.objective}, {settings.generations} generations, population "
            f"{settings.population}, seed {settings.seed}, {count(pool.n_workers(), 'worker')}; "
            f"run: {records.directory}"
        )
        n_known, resume = records.n_known, winner.resume_command(given, records)
        with resumable(records, resume):
            result = _search(given, parts, pool, records, model_dir)
    last = max(int(entry.id[1:].partition("-")[0]) for entry in result.run.lines)
    if "stop_after_minutes" in given and last < settings.n_generations:
        note(
            f"time limit reached after generation {last} of {settings.n_generations}; "
            f"continue with: {resume} {as_argument(records.directory)}"
        )
    elif resumed and records.n_known == n_known:
        note("the search had finished; its recorded results were used again")
    write_final_report(records.directory)


def _prepare(given: Mapping[str, Any], resumed: Records | None) -> tuple[SearchSettings, Split]:
    genome = None
    if path := given.get("warm_start"):
        genome = read_genome_of(path, "add --minutes or --budget", is_budgeted=False).genome
    space = read_space(given["space"], is_budgeted=False) if "space" in given else None
    if resumed:
        settings = resumed.settings
        settings.check(given, genome, space)
        if settings.fitness == "own":
            raise ConfigError("the search minimises a function; resume it with evolve() in Python")
        return settings, documents_again(settings, given.get("input"))
    path, column = given.get("input") or default_input(), given.get("column")
    parts = split(load_text(path, column=column, tell=note), validation=HELD_OUT, test=HELD_OUT)
    settings = SearchSettings.begin(
        given,
        input=as_setting(path),
        column=column,
        seed=given.get("seed", DEFAULT_SEED),
        train_winner=as_setting(given["train_winner"]) if "train_winner" in given else None,
        warm_start=genome,
        space=space,
        **describe_documents(parts),
    )
    if space:  # fail before creating a run if the space has too few valid genomes
        operators = Operators.of(space)
        operators.mutate(operators.random(Random(0)), Random(0))
    return settings, parts


def _search(
    given: Mapping[str, Any],
    parts: Split,
    pool: Pool,
    records: Records,
    model_dir: Path | None,
) -> EvolutionResult:
    """Search, show the progress, and save the log and the winner."""
    settings = records.settings
    progress = SearchProgress(settings.n_generations)
    with SearchLog(records.log, progress) as log:
        listeners: list[Listener] = [Log(log), Trace(say) if "trace" in given else progress]
        on_event = None if "trace" in given else progress.update
        minutes = given.get("stop_after_minutes")
        result = run_search(parts, pool, records, listeners, on_event, minutes)
        progress.stop()
        if result is None:
            say(f"error: no organism finished training; see {records.log}")
            raise typer.Exit(1)
        winner.write_if_better(result.record, log, force="force" in given)
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


class SearchProgress(ProgressBar, Listener):
    """Progress of a search: generations, champions, species, speed and time left."""

    def __init__(self, generations: int) -> None:
        super().__init__("generation", generations)
        self._before: SearchEvent | None = None
        self._started, self._n_evaluated, self._n_failed = perf_counter(), 0, 0

    def evaluated(self, run: SearchRunner, organism: Organism) -> None:
        """Print a line for an organism that crashed or was refused, up to N_FAILURES times."""
        evaluation = organism.evaluation
        if evaluation and evaluation.status in ("crashed", "refused"):
            self._n_failed += 1
            if self._n_failed <= N_FAILURES:
                self.stop()
                say(describe(organism))

    def update(self, event: SearchEvent) -> None:
        """Show the state of the search after an event."""
        before, self._before = self._before, event
        if before and event.n_done > before.n_done and event.stage == before.stage:
            self._n_evaluated += 1
        rate = self._n_evaluated / (perf_counter() - self._started)
        left = time_left(event.n_all - event.n_done + event.n_later, rate)
        bests = sorted(event.champions.items())  # they come as their evaluations end
        best = ", ".join(f"{name} {o.worth:.4f}" for name, o in bests)
        best = best.lower() or "no champion yet"
        what = "retests" if event.stage == "again" else "organisms"
        measured = f"{event.n_done} of {event.n_all} {what}, {event.n_species} species"
        if event.stagnation is not None:
            measured += f", stagnation {event.stagnation}"
        ended = max(0, event.generation - (event.stage == "generation"))
        line = f"generation {ended} / {self._total} | {best} | {left}"
        self.show(ended, left, line, f"{best} | {measured} | {short(rate)} organisms/s")


class SearchLog:
    """Writes lines to the log file and stdout, and hides the progress while printing."""

    def __init__(self, path: Path, progress: SearchProgress) -> None:
        self._path, self._progress = path, progress
        with self._writing():
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        with suppress(OSError):  # write errors have already been reported
            self._file.close()

    def __call__(self, line: str) -> None:
        """Print and write a line; raise CheckpointError if the log cannot be written."""
        self._progress.stop()
        print_or_discard(line)
        with self._writing():
            self._file.write(f"{line}\n")
            self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._path.parent, error) from error
