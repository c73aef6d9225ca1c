"""`microgpt evolve`: search for the shape of a model and how to train it."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer

from microgpt.config import DEFAULT_SEED, check_count, check_seed
from microgpt.errors import ConfigError
from microgpt_cli.options import DEFAULT_GENOME, DEFAULT_TEXT, RUNS
from microgpt_cli.streams import note, say

if TYPE_CHECKING:
    from microgpt.data import Split
    from microgpt_evolution.arena import Arena
    from microgpt_evolution.genome_file import GenomeRecord
    from microgpt_evolution.loss_evolution import Finalist, LossEvolution
    from microgpt_evolution.pools import Pool
    from microgpt_evolution.records import Records

HELD_OUT = 0.1  # the share for choosing, and that for the final figure
N_SAMPLES = 10
SEARCH, WORKERS, OUTPUT = "Search", "Workers", "Output"
SETTINGS = ("population", "generations", "seed", "fitness")  # what a run is


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

    from microgpt.data import load_text, split
    from microgpt.engines import prepare_engine
    from microgpt.whole_files import as_argument
    from microgpt_cli.training_job import default_input
    from microgpt_evolution.arena import Arena
    from microgpt_evolution.errors import ClusterError
    from microgpt_evolution.records import Records

    records = Records.open(resume) if resume else None
    path = Path(records.settings["input"]) if records and not input else input or default_input()
    parts = split(load_text(path), validation=HELD_OUT, test=HELD_OUT)
    settings = {
        "objective": "loss",
        "input": os.path.abspath(path),
        "data_sha256": parts.facts.sha256,
        **{name: ctx.params[name] for name in SETTINGS},
    }
    if records:
        settings = _checked(records, settings, _given(ctx))
    prepare_engine("compiled", uses=["training", "evaluation", "generation"], tell=note)
    arena = Arena.of(parts, settings["fitness"])
    with _pool(workers, scheduler) as pool:
        pool.executor()  # a cluster that is not there begins no run
        records = records or Records.begin(RUNS, "evolve", settings)
        with records.log.open("w", encoding="utf-8") as log:
            logged = _Log(log)
            try:
                evolution = _evolution(arena, pool, records, logged, is_told=trace)
                winner = evolution.run(minutes)
            except (KeyboardInterrupt, ClusterError) as stop:
                go_on = (
                    f"after {records.n_known} evaluations; go on with: "
                    f"microgpt evolve --resume {as_argument(records.directory)}"
                )
                if isinstance(stop, KeyboardInterrupt):
                    raise type(stop)(go_on) from None
                say(f"error: {stop}; stopped {go_on}")
                raise typer.Exit(1) from stop
            if winner is None:
                say(f"error: no organism could be trained to its end; see {records.log}")
                raise typer.Exit(1)
            _conclude(winner, parts, records, logged, force=force, train_winner=train_winner)


class _Log:
    """Writes lines to the log and to stdout."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __call__(self, line: str) -> None:
        print(line, flush=True)
        self._file.write(f"{line}\n")
        self._file.flush()


def _given(ctx: typer.Context) -> dict[str, Any]:
    """Return the options that were given, by name."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return {
        name: ctx.params[name] for name, source in sources.items()
        if source and source.name != "DEFAULT"
    }  # fmt: skip


def _checked(
    records: "Records", now: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings of a run that goes on; ConfigError if something contradicts them."""
    for name in SETTINGS:
        if name in given and given[name] != records.settings[name]:
            raise ConfigError(
                f"--{name} is {given[name]}, but {records.settings[name]} in the run to resume; "
                "leave it out"
            )
    if now["data_sha256"] != records.settings["data_sha256"]:
        raise ConfigError(
            f"{now['input']} is not what the run began with: its documents have another sha256; "
            "name the old file with --input"
        )
    return dict(records.settings)


def _pool(workers: int, scheduler: str | None) -> "Pool":
    from microgpt_evolution.cluster import Dask
    from microgpt_evolution.pools import Threads

    return Dask(scheduler) if scheduler else Threads(workers)


def _evolution(
    arena: "Arena",
    pool: "Pool",
    records: "Records",
    log: Callable[[str], None],
    *,
    is_told: bool,
) -> "LossEvolution":
    from microgpt_evolution.loss_evolution import LossEvolution

    settings = records.settings
    return LossEvolution(
        arena,
        pool,
        records,
        population=settings["population"],
        generations=settings["generations"],
        seed=settings["seed"],
        log=log,
        tell=say if is_told or not sys.stderr.isatty() else (lambda line: None),
        should_stop=Event(),
    )


def _conclude(
    winner: "Finalist",
    parts: "Split",
    records: "Records",
    log: Callable[[str], None],
    *,
    force: bool,
    train_winner: Path | None,
) -> None:
    """Train the winner again, measure it on the test part, and write what is to be kept."""
    from microgpt.checkpoint import save
    from microgpt.inference import InferenceGpt
    from microgpt_evolution import end_report
    from microgpt_evolution.genome_file import GenomeRecord, write_genome
    from microgpt_evolution.verdict import judge

    settings, organism = records.settings, winner.organism
    found = organism.evaluation
    assert found is not None
    verdict = judge(organism.genome, parts, winner.fresh_seeds(settings["seed"]))
    is_held_out = settings["fitness"] == "held-out"
    record = GenomeRecord(
        genome=organism.genome,
        loss=found.last_loss or 0.0,
        generation=organism.generation,
        fitness=settings["fitness"],
        val_loss=winner.mean if is_held_out else fmean(verdict.val_losses),
        seed=settings["seed"],
        data_sha256=settings["data_sha256"],
    )
    write_genome(records.directory / DEFAULT_GENOME, record)  # whatever else stays in its place
    genome_sha256 = _write(record, log, force=force)
    result = verdict.result
    names = InferenceGpt(result).generate(N_SAMPLES, temperature=1.0, seed=settings["seed"])
    for line in end_report.demo(names, result.losses[-1]):
        log(line)
    for line in end_report.lucky_and_honest(found, verdict):
        log(line)
    if train_winner:
        save(replace(result, genome_sha256=genome_sha256), train_winner)
        note(f"a model of the winner is in {train_winner}")
    for line in end_report.saved(str(records.log)):
        log(line)


def _write(record: "GenomeRecord", log: Callable[[str], None], *, force: bool) -> str:
    """Write genome.json if that is an improvement; return the sha256 that it has, or would have."""
    import hashlib

    from microgpt_evolution import end_report
    from microgpt_evolution.genome_file import encode_genome, read_genome, replaces, write_genome

    if not force and os.path.lexists(DEFAULT_GENOME) and not replaces(
        record, read_genome(DEFAULT_GENOME)
    ):  # fmt: skip
        note(f"{DEFAULT_GENOME} stays: it is as good or better; --force replaces it")
    else:
        write_genome(DEFAULT_GENOME, record)
        for line in end_report.genome_written(str(DEFAULT_GENOME), record.generation):
            log(line)
    return hashlib.sha256(encode_genome(record)).hexdigest()
