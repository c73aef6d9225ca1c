"""`microgpt evolve`: search for the best hyper-parameters of a model."""

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal

import typer

from microgpt.config import DEFAULT_SEED, TextKind, check_count, check_seed
from microgpt.errors import ConfigError
from microgpt.model_config import check_whole
from microgpt_cli.terminal import options as opt
from microgpt_cli.training import options as train
from microgpt_cli.training.limits import check_limits, n_bytes

search, beauty, output = opt.panel("Search"), opt.panel("Beauty"), opt.panel("Output")
budget_panel = opt.panel("Budget")
# Options of searches with a budget, and those of all searches.
BUDGETED = ("minutes", "budget", "max_weights", "max_memory", "distill", "chat", "text")
RESUMED = ("input", "workers", "scheduler", "resume", "train_winner", "force")
EVERYWHERE = (
    "input", "column", "seed", "warm_start", "space", "workers", "scheduler", "resume",
    "train_winner", "force",
)  # fmt: skip


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
        float | None,
        budget_panel(
            help="Search all settings of `train` for this time, which is that of the whole command "
            "except compilation."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        budget_panel(hidden=True, help="Like --minutes, but for a number of operations."),
    ] = None,
    max_weights: train.MaxWeights = None,
    max_memory: train.MaxMemory = None,
    distill: Annotated[
        int | None,
        budget_panel(
            hidden=True,
            help="At the end, train a student of the winner's size on the predictions of this many "
            "of the best models; 0 for none. Default: 6 if the text is small.",
        ),
    ] = None,
    chat: Annotated[
        bool, budget_panel("--chat", hidden=True, help="Train on conversations.")
    ] = False,
    text: Annotated[TextKind | None, budget_panel(hidden=True, help=train.TEXT_HELP)] = None,
    stop_after_minutes: Annotated[
        float | None, search(hidden=True, help="Start no new generation after this time.")
    ] = None,
    space: Annotated[
        Path | None,
        search(
            hidden=True,
            help="TOML file with the values of each gene, mutation rates, the first generation and "
            "a target that ends the search.",
        ),
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
    started = perf_counter()
    check_seed(seed)
    for name in ("population", "generations", "samples"):
        if ctx.params[name] is not None:
            check_count(name, ctx.params[name])
    if distill is not None:
        check_whole("distill", distill, minimum=0)
    if stop_after_minutes is not None and not stop_after_minutes > 0:
        raise ConfigError(
            f"--stop-after-minutes must be a number greater than 0, got {stop_after_minutes}"
        )
    given = opt.given_options(ctx)
    check_limits(given)
    if _is_budgeted(given):
        from microgpt_cli.search.budgeted_run import run as run_budgeted
        from microgpt_cli.training.time_limit import TimeLimit

        limit = TimeLimit.of(minutes, started, has_plot=False) if minutes else None
        run_budgeted({**ctx.params, "max_memory": max_memory and n_bytes(max_memory)}, limit)
        return

    from microgpt_cli.search.evolve_run import run

    run(ctx.params, given)


def _is_budgeted(given: Mapping[str, Any]) -> bool:
    """Return whether the options are those of a search with a budget.

    Raises:
        ConfigError: an option belongs to another kind of search.
    """
    limits = [name for name in ("minutes", "budget") if name in given]
    if "resume" in given and not limits:
        from microgpt_evolution.budgeted.settings import BUDGET
        from microgpt_evolution.runs.run_directory import directory_of, read_settings

        if BUDGET in read_settings(directory_of(given["resume"])):
            limits = ["resume"]
    if limits == ["resume"]:  # the run keeps its other options
        allowed: tuple[str, ...] = RESUMED
    else:
        allowed = (*BUDGETED, *EVERYWHERE) if limits else (*given.keys() - BUDGETED, *EVERYWHERE)
    for name in given.keys() - allowed:
        if limits:
            what = "the run to resume" if limits == ["resume"] else opt.flag_of(limits[0])
            raise ConfigError(f"{opt.flag_of(name)} cannot be used with {what}; omit one of them")
        raise ConfigError(f"{opt.flag_of(name)} requires --minutes or --budget; add one of them")
    return bool(limits)
