"""`microgpt evolve`: search for the shape of a model and how to train it."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from microgpt.config import DEFAULT_SEED, check_count, check_seed
from microgpt.errors import CheckpointError, ConfigError
from microgpt_cli.search.table import make_table
from microgpt_cli.terminal.console import note, say
from microgpt_cli.terminal.options import DEFAULT_GENOME, DEFAULT_TEXT, RUNS

if TYPE_CHECKING:
    from microgpt.data.split import Split
    from microgpt_evolution.runs.records import Records
    from microgpt_evolution.search.settings import SearchSettings

RESUME = "microgpt evolve --resume"
SEARCH, BEAUTY, WORKERS, OUTPUT = "Search", "Beauty", "Workers", "Output"


def evolve(
    ctx: typer.Context,
    input: Annotated[
        Path | None,
        typer.Option(
            help=f"UTF-8 text, a document a line.  [default: data/{DEFAULT_TEXT}]",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    objective: Annotated[
        Literal["loss", "aesthetic", "hydra"],
        typer.Option(
            help="A low loss; names that the judge finds beautiful; or three heads, each with a "
            "beauty of its own.",
            rich_help_panel=SEARCH,
        ),
    ] = "loss",
    population: Annotated[
        int | None,
        typer.Option(
            help="Organisms in a generation; in each head.  [default: 8; aesthetic: 12]",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    generations: Annotated[
        int | None,
        typer.Option(
            help="How many; of the Hydra, cycles of three.  [default: 10; aesthetic, hydra: 5]",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    fitness: Annotated[
        Literal["held-out", "last-doc"] | None,
        typer.Option(
            help="The loss to minimise: of held-out documents or, as in evolve-rust, of the last "
            "training document, which is mostly luck.  [default: held-out]",
            show_default=False,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            help="Names scored per organism; 5 in evolve-rust.  [default: 200]",
            show_default=False,
            rich_help_panel=BEAUTY,
        ),
    ] = None,
    exchange: Annotated[
        Literal["migrate", "source"] | None,
        typer.Option(
            help="What the heads do when they meet: send champions or, as in evolve-rust, become "
            "alike.  [default: migrate]",
            show_default=False,
            rich_help_panel=BEAUTY,
        ),
    ] = None,
    head: Annotated[
        Literal["weaver", "mirror", "spark", "origin"] | None,
        typer.Option(
            help="Whose champion becomes the genome.  [default: the best for all]",
            show_default=False,
            rich_help_panel=BEAUTY,
        ),
    ] = None,
    origin: Annotated[
        bool,
        typer.Option("--origin", help="A fourth head, for a low loss.", rich_help_panel=BEAUTY),
    ] = False,
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
        int | None,
        typer.Option(
            help="Trainings at once; the result is the same.  [default: 1]",
            show_default=False,
            rich_help_panel=WORKERS,
        ),
    ] = None,
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

    Each organism is trained from nothing and measured; the best have offspring, and are measured
    again with fresh seeds at the end.
    """
    check_seed(seed)
    for name in ("population", "generations", "samples"):
        if ctx.params[name] is not None:
            check_count(name, ctx.params[name])
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"minutes must be a number above 0, got {minutes}")
    _check_outputs(train_winner, force=force)

    from microgpt.training.engines import prepare_engine
    from microgpt_cli.commands.report import leave_report
    from microgpt_cli.search.log import SearchLog, resumable
    from microgpt_cli.search.winner import keep_winner
    from microgpt_cli.search.workers import make_pool
    from microgpt_evolution.evolve_rust import loss_log_end
    from microgpt_evolution.runs.records import Records
    from microgpt_evolution.search.evolve import run_search
    from microgpt_evolution.search.runner import Listeners, ignore

    pool = make_pool(workers, scheduler)
    with ExitStack() as stack:
        begun = stack.enter_context(Records.open(resume)) if resume else None
        settings, parts = _prepare(ctx, begun)
        prepare_engine("compiled", uses=["training", "evaluation", "generation"], tell=note)
        stack.enter_context(pool)
        pool.executor()  # a cluster that is not there begins no run
        records = begun or stack.enter_context(
            Records.begin(RUNS, "evolve", settings.model_dump(mode="json"))
        )
        table = None if trace else make_table(settings.n_generations)
        with resumable(records, RESUME), SearchLog(records.log, table) as log:
            listeners = Listeners(
                log=log,
                trace=ignore if table else say,
                on_event=table.update if table else ignore,
            )
            result = run_search(settings, parts, pool, records, listeners, minutes)
            log.stop_table()
            if result is None:
                say(f"error: no organism could be trained to its end; see {records.log}")
                raise typer.Exit(1)
            keep_winner(result, log, force=force, model_dir=train_winner)
            for line in loss_log_end.saved(str(records.log)):
                log(line)
    leave_report(records.directory)


def _check_outputs(model_dir: Path | None, *, force: bool) -> None:
    """Raise what would otherwise end the command after the search."""
    from microgpt.files.atomic_files import check_place
    from microgpt_evolution.genome_file import read_genome

    if model_dir:
        check_place(model_dir)
    if DEFAULT_GENOME.is_dir():
        raise CheckpointError(f"{DEFAULT_GENOME} is a directory; move it away")
    if os.path.lexists(DEFAULT_GENOME) and not force:
        read_genome(DEFAULT_GENOME)  # to be compared with the winner


def _prepare(ctx: typer.Context, begun: "Records | None") -> "tuple[SearchSettings, Split]":
    """Return what the search is, and its documents.

    Raises:
        ConfigError: an option contradicts what the run began with.
    """
    from microgpt.data.documents import load_text
    from microgpt.data.split import split
    from microgpt.files.path_text import path_from_text, path_to_text
    from microgpt_cli.input_files import check_regular, default_input
    from microgpt_evolution.genome_file import read_genome
    from microgpt_evolution.search.evolve import describe_documents
    from microgpt_evolution.search.settings import HELD_OUT, SearchSettings

    given = _given(ctx)
    path, genome_path = ctx.params["input"], ctx.params["warm_start"]
    genome = read_genome(genome_path).genome if genome_path else None
    if begun:
        settings = SearchSettings.of(begun)
        settings.check(given, genome)
        if path is None:
            path = path_from_text(settings.input)
            check_regular(path, "name the documents of this run with --input")
        parts = split(
            load_text(path), validation=settings.val_fraction, test=settings.test_fraction
        )
        settings.check_data(path, parts.facts.sha256)
        return settings, parts
    path = path or default_input()
    parts = split(load_text(path), validation=HELD_OUT, test=HELD_OUT)
    settings = SearchSettings.begin(
        given,
        input=path_to_text(os.path.abspath(path)),
        seed=ctx.params["seed"],
        warm_start=genome,
        **describe_documents(parts),
    )
    return settings, parts


def _given(ctx: typer.Context) -> dict[str, Any]:
    """Return the options that were given, by name."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return {
        name: ctx.params[name] for name, source in sources.items()
        if source and source.name != "DEFAULT"
    }  # fmt: skip
