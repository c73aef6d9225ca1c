"""`microgpt evolve`: search for the best hyper-parameters of a model."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from microgpt.config import DEFAULT_SEED, check_count, check_seed
from microgpt.errors import ConfigError
from microgpt_cli.terminal import options as opt

search, beauty, output = opt.panel("Search"), opt.panel("Beauty"), opt.panel("Output")


def evolve(
    ctx: typer.Context,
    input: Annotated[
        Path | None,
        search(*opt.DATA, help=f"{opt.TEXT_HELP}.  [default: data/{opt.DEFAULT_TEXT}]"),
    ] = None,
    column: opt.Column = None,
    objective: Annotated[
        Literal["loss", "aesthetic", "hydra"],
        search(
            help="loss: minimize the loss; aesthetic: maximize the judge's score of generated "
            "names; hydra: evolve three populations (heads), each with its own score for names."
        ),
    ] = "loss",
    population: Annotated[
        int | None,
        search(
            help="Number of organisms per generation; with hydra, per head.  "
            "[default: 8; aesthetic: 12]"
        ),
    ] = None,
    generations: Annotated[
        int | None,
        search(
            help="Number of generations; with hydra, number of cycles of three generations each.  "
            "[default: 10; aesthetic, hydra: 5]"
        ),
    ] = None,
    fitness: Annotated[
        Literal["held-out", "last-doc"] | None,
        search(
            hidden=True,
            help="held-out: loss of held-out documents. last-doc: loss of the last training "
            "document, as in evolve-rust; depends mostly on luck.  [default: held-out]",
        ),
    ] = None,
    samples: Annotated[
        int | None,
        beauty(
            hidden=True,
            help="Number of names to generate and score per organism; evolve-rust uses 5.  "
            "[default: 200]",
        ),
    ] = None,
    exchange: Annotated[
        Literal["migrate", "source"] | None,
        beauty(
            hidden=True,
            help="How heads exchange genomes. migrate: each head receives champions of other "
            "heads. source: all heads receive the same champions, as in evolve-rust.  "
            "[default: migrate]",
        ),
    ] = None,
    head: Annotated[
        Literal["weaver", "mirror", "spark", "origin"] | None,
        beauty(
            hidden=True,
            help="Hydra head whose champion is saved as the genome.  "
            "[default: the champion that all heads together rank best]",
        ),
    ] = None,
    origin: Annotated[
        bool, beauty("--origin", hidden=True, help="Add a fourth head, which rewards a low loss.")
    ] = False,
    seed: Annotated[int, search(help=opt.SEED_HELP)] = DEFAULT_SEED,
    warm_start: Annotated[
        Path | None,
        search(
            hidden=True,
            help="Fill half of the first generation with this genome and mutants of it.",
        ),
    ] = None,
    minutes: Annotated[
        float | None, search(help="Time limit in minutes; no new generation starts after it.")
    ] = None,
    workers: opt.Workers = None,
    scheduler: opt.Scheduler = None,
    resume: Annotated[
        Path | None,
        output(help=f"Directory of the search to resume, in {opt.RUNS}.", callback=opt.run_path),
    ] = None,
    train_winner: Annotated[
        Path | None,
        output(help="Train a model with the best genome and save it in this directory."),
    ] = None,
    force: Annotated[
        bool,
        output(
            "--force",
            hidden=True,
            help="Replace an existing model in --train-winner, and "
            f"{opt.DEFAULT_GENOME} even if its score is better.",
        ),
    ] = False,
    trace: Annotated[
        bool,
        output("--trace", hidden=True, help="Print the whole log and one line per organism."),
    ] = False,
) -> None:
    """Search for good hyper-parameters by evolution.

    Each organism is trained from scratch and scored; the best reproduce. At the end, the
    finalists are retested with fresh seeds, and the genome of the winner is written to genome.json.
    """
    check_seed(seed)
    for name in ("population", "generations", "samples"):
        if ctx.params[name] is not None:
            check_count(name, ctx.params[name])
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"minutes must be a number greater than 0, got {minutes}")

    from microgpt_cli.search.evolve_run import run

    run(ctx.params, opt.given_options(ctx))
