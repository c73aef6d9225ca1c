"""`microgpt evolve`: search for the shape of a model and how to train it."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import typer

from microgpt.config import DEFAULT_SEED, check_count, check_seed
from microgpt.errors import CheckpointError, ConfigError
from microgpt_cli.options import DEFAULT_GENOME, DEFAULT_TEXT, RUNS
from microgpt_cli.search_table import SearchTable, make_table
from microgpt_cli.streams import note, say, show_while_read

if TYPE_CHECKING:
    from microgpt.data import Split
    from microgpt_cli.search_settings import Settings
    from microgpt_evolution.loss_evolution import LossEvolution
    from microgpt_evolution.pools import Pool
    from microgpt_evolution.records import Records

SEARCH, WORKERS, OUTPUT = "Search", "Workers", "Output"


def evolve(
    ctx: typer.Context,
    input: Annotated[
        Path | None,
        typer.Option(
            help=f"UTF-8 text, a document a line.  [default: data/{DEFAULT_TEXT}]",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    population: Annotated[
        int, typer.Option(help="Organisms in a generation.", rich_help_panel=SEARCH)
    ] = 8,
    generations: Annotated[int, typer.Option(help="How many.", rich_help_panel=SEARCH)] = 10,
    fitness: Annotated[
        Literal["held-out", "last-doc"],
        typer.Option(
            help="The loss that is to become small: on documents that were held out, or, as in the "
            "source, of the last one in training, which is mostly luck.",
            rich_help_panel=SEARCH,
        ),
    ] = "held-out",
    seed: Annotated[
        int, typer.Option(help="Same seed, same genome.", rich_help_panel=SEARCH)
    ] = DEFAULT_SEED,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            help="A genome.json to begin with: it and its mutants are half the first generation.",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Begin no generation after so long.", show_default=False, rich_help_panel=SEARCH
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(help="Trainings at once; the result is the same.", rich_help_panel=WORKERS),
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Of a Dask cluster that has microgpt, such as tcp://host:8786.",
            show_default=False,
            rich_help_panel=WORKERS,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help=f"Go on with a run, a directory in {RUNS}.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    train_winner: Annotated[
        Path | None,
        typer.Option(
            help="Directory for a model of the winner.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help=f"Replace a {DEFAULT_GENOME} that is better.", rich_help_panel=OUTPUT
        ),
    ] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Tell of each organism.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Let models evolve, and leave the best genome in genome.json.

    Each organism is trained from nothing and measured; the best have offspring. The three best are
    measured again with fresh seeds, and the winner on documents that nothing has seen.
    """
    check_seed(seed)
    for name, count in (
        ("population", population), ("generations", generations), ("workers", workers)
    ):  # fmt: skip
        check_count(name, count)
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"minutes must be a number above 0, got {minutes}")
    if scheduler and "workers" in _given(ctx):
        raise ConfigError(
            "--workers is for this machine, and with --scheduler all workers of the cluster are "
            "used; leave one of the two out"
        )
    _check_outputs(train_winner, force=force)

    from microgpt.engines import prepare_engine
    from microgpt_cli.search_winner import conclude
    from microgpt_evolution import end_report
    from microgpt_evolution.records import Records

    with ExitStack() as stack:
        begun = stack.enter_context(Records.open(resume)) if resume else None
        settings, parts = _prepare(ctx, begun)
        prepare_engine("compiled", uses=["training", "evaluation", "generation"], tell=note)
        pool = stack.enter_context(_pool(workers, scheduler))
        pool.executor()  # a cluster that is not there begins no run
        records = begun or stack.enter_context(
            Records.begin(RUNS, "evolve", settings.model_dump(mode="json"))
        )
        table = None if trace else make_table(settings.generations)
        with _resumable(records), _Log(records.log, table) as log:
            winner = _evolution(settings, parts, pool, records, log, table).run(minutes)
            log.stop_table()
            if winner is None:
                say(f"error: no organism could be trained to its end; see {records.log}")
                raise typer.Exit(1)
            conclude(
                winner,
                parts,
                settings,
                records.directory,
                log,
                force=force,
                model_dir=train_winner,
            )
            for line in end_report.saved(str(records.log)):
                log(line)


class _Log:
    """Writes lines to the log and to stdout; on a terminal, where the table was."""

    def __init__(self, path: Path, table: SearchTable | None) -> None:
        self._path, self._table = path, table

    def __enter__(self) -> Self:
        with self._writing():
            self._file = self._path.open("w", encoding="utf-8")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop_table()
        with suppress(OSError):  # what is still in the buffer has been told of
            self._file.close()

    def __call__(self, line: str) -> None:
        self.stop_table()
        show_while_read(line)
        with self._writing():
            self._file.write(f"{line}\n")
            self._file.flush()

    def stop_table(self) -> None:
        if self._table:
            self._table.stop()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        from microgpt.whole_files import cannot_write

        try:
            yield
        except OSError as error:
            raise cannot_write(self._path.parent, error) from error


@contextmanager
def _resumable(records: "Records") -> Iterator[None]:
    """Have whatever ends a run early say how to go on with it."""
    from microgpt.whole_files import as_argument
    from microgpt_evolution.errors import ClusterError

    how = f"go on with: microgpt evolve --resume {as_argument(records.directory)}"
    try:
        yield
    except KeyboardInterrupt as stop:
        raise type(stop)(f"after {records.n_known} evaluations; {how}") from None
    except (CheckpointError, ClusterError) as error:
        if not records.n_known:  # there is nothing to go on with
            raise
        say(f"error: {error}; {how}")
        raise typer.Exit(1) from error


def _check_outputs(model_dir: Path | None, *, force: bool) -> None:
    """Raise what would otherwise end the command after the search."""
    from microgpt_evolution.genome_file import read_genome

    if model_dir and os.path.lexists(model_dir) and not model_dir.is_dir():
        raise CheckpointError(f"{model_dir} is no directory; name one for the model")
    if os.path.lexists(DEFAULT_GENOME) and not force:
        read_genome(DEFAULT_GENOME)  # to be compared with the winner


def _prepare(ctx: typer.Context, begun: "Records | None") -> "tuple[Settings, Split]":
    """Return what the search is, and its documents.

    Raises:
        ConfigError: an option contradicts what the run began with.
    """
    from microgpt.data import load_text, split
    from microgpt_cli.search_settings import HELD_OUT, Settings
    from microgpt_cli.training_job import default_input
    from microgpt_evolution.genome_file import read_genome

    given = _given(ctx)
    path, genome_path = ctx.params["input"], ctx.params["warm_start"]
    genome = read_genome(genome_path).genome if genome_path else None
    if begun:
        settings = Settings.of(begun)
        settings.check(given, genome)
        path = path or Path(settings.input)
        parts = split(
            load_text(path), validation=settings.val_fraction, test=settings.test_fraction
        )
        settings.check_data(path, parts.facts.sha256)
        return settings, parts
    path = path or default_input()
    parts = split(load_text(path), validation=HELD_OUT, test=HELD_OUT)
    names = ("population", "generations", "seed", "fitness")
    settings = Settings(
        input=os.path.abspath(path),
        data_sha256=parts.facts.sha256,
        warm_start=genome,
        **{name: ctx.params[name] for name in names},
    )
    return settings, parts


def _given(ctx: typer.Context) -> dict[str, Any]:
    """Return the options that were given, by name."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return {
        name: ctx.params[name] for name, source in sources.items()
        if source and source.name != "DEFAULT"
    }  # fmt: skip


def _pool(workers: int, scheduler: str | None) -> "Pool":
    from microgpt_evolution.cluster import Dask
    from microgpt_evolution.pools import Threads

    return Dask(scheduler) if scheduler else Threads(workers)


def _evolution(
    settings: "Settings",
    parts: "Split",
    pool: "Pool",
    records: "Records",
    log: _Log,
    table: SearchTable | None,
) -> "LossEvolution":
    from microgpt_evolution.arena import Arena
    from microgpt_evolution.laboratory import Laboratory
    from microgpt_evolution.loss_evolution import LossEvolution

    arena = Arena.of(
        parts, settings.fitness, max_flops=settings.max_flops, max_bytes=settings.max_bytes
    )
    return LossEvolution(
        Laboratory(arena, pool, records, run_seed=settings.seed, should_stop=Event()),
        fitness=settings.fitness,
        population=settings.population,
        generations=settings.generations,
        ancestor=settings.warm_start,
        log=log,
        tell=(lambda line: None) if table else say,
        on_event=table.update if table else (lambda event: None),
    )
