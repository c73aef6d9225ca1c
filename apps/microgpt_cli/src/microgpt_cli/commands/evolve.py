"""`microgpt evolve`: search for the hyper-parameters of a model."""

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
        search(help=f"UTF-8 text, a document a line.  [default: data/{opt.DEFAULT_TEXT}]"),
    ] = None,
    objective: Annotated[
        Literal["loss", "aesthetic", "hydra"],
        search(
            help="A low loss; names that the judge finds beautiful; or three heads, each with a "
            "beauty of its own."
        ),
    ] = "loss",
    population: Annotated[
        int | None,
        search(help="Organisms in a generation; in each head.  [default: 8; aesthetic: 12]"),
    ] = None,
    generations: Annotated[
        int | None,
        search(help="How many; of the Hydra, cycles of three.  [default: 10; aesthetic, hydra: 5]"),
    ] = None,
    fitness: Annotated[
        Literal["held-out", "last-doc"] | None,
        search(
            help="The loss to minimise: of held-out documents or, as in evolve-rust, of the last "
            "training document, which is mostly luck.  [default: held-out]"
        ),
    ] = None,
    samples: Annotated[
        int | None,
        beauty(help="Names scored per organism; 5 in evolve-rust.  [default: 200]"),
    ] = None,
    exchange: Annotated[
        Literal["migrate", "source"] | None,
        beauty(
            help="What the heads do when they meet: send champions or, as in evolve-rust, become "
            "alike.  [default: migrate]"
        ),
    ] = None,
    head: Annotated[
        Literal["weaver", "mirror", "spark", "origin"] | None,
        beauty(help="Whose champion becomes the genome.  [default: the best for all]"),
    ] = None,
    origin: Annotated[bool, beauty("--origin", help="A fourth head, for a low loss.")] = False,
    seed: Annotated[int, search(help="Same seed, same genome.")] = DEFAULT_SEED,
    warm_start: Annotated[
        Path | None,
        search(
            help="A genome.json to begin with: it and its mutants are half the first generation."
        ),
    ] = None,
    minutes: Annotated[float | None, search(help="Begin no generation after so long.")] = None,
    workers: opt.Workers = None,
    scheduler: opt.Scheduler = None,
    resume: Annotated[
        Path | None, output(help=f"Go on with a run, a directory in {opt.RUNS}.")
    ] = None,
    train_winner: Annotated[
        Path | None, output(help="Directory for a model of the winner.")
    ] = None,
    force: Annotated[
        bool, output("--force", help=f"Replace a {opt.DEFAULT_GENOME} that is better.")
    ] = False,
    trace: Annotated[bool, output("--trace", help="Tell of each organism.")] = False,
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

    from microgpt_cli.search.evolve_run import run

    run(ctx.params, opt.given_options(ctx))
