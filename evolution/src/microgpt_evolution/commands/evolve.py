"""`microgpt evolve`: search for the best hyper-parameters of a model."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from microgpt import ConfigError, TextKind, setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import examples
from microgpt_evolution.commands.options import (
    Workers,
    as_in_train,
    check_options,
    given_options,
    refuse_both,
    typed,
)
from microgpt_evolution.commands.runs import DEFAULT_GENOME, RUNS, run_path
from microgpt_evolution.objectives.fitness import HeadName, LossName, ObjectiveName

# The options of a search with a budget, and those that its resumption accepts.
OF_BUDGET = ("chat", "me", "separator", "text")
RESUMED = ("input", "workers", "scheduler", "resume", "train_winner", "force")
BUDGETED = ("column", "minutes", "budget", "seed", "warm_start", "space", *OF_BUDGET, *RESUMED)
search, budgeted, output = (
    partial(setting, panel=panel, short=True) for panel in ("Search", "Budget", "Output")
)
rare, beauty, of_budget, rare_output = (
    partial(setting, panel=panel) for panel in ("Search", "Beauty", "Budget", "Output")
)


@dataclass(frozen=True)
class SearchOptions(Workers):
    """The options of `microgpt evolve`."""

    input: Path | None = search(
        None, f"{opt.TEXT_HELP}.  [default: data/{opt.DEFAULT_TEXT}]", *opt.DATA
    )
    column: str | None = as_in_train("column", short=True)
    objective: ObjectiveName | None = search(
        None,
        "loss: minimize the loss; aesthetic: maximize the judge's score of generated names; hydra: "
        "evolve three populations (heads), each with its own score for names.  [default: loss]",
    )
    population: int | None = search(
        None,
        "Number of organisms per generation; with hydra, per head.  [default: 8; aesthetic: 12]",
    )
    generations: int | None = search(
        None,
        "Number of generations; with hydra, number of cycles of three generations each.  "
        "[default: 10; aesthetic, hydra: 5]",
    )
    fitness: LossName | None = rare(
        None,
        "held-out: loss of held-out documents. last-doc: loss of the last training document, as in "
        "evolve-rust; depends mostly on luck.  [default: held-out]",
    )
    samples: int | None = beauty(
        None,
        "Number of names to generate and score per organism; evolve-rust uses 5.  [default: 200]",
    )
    head: HeadName | None = beauty(
        None,
        "Hydra head whose champion is saved as the genome.  "
        "[default: the champion that all heads together rank best]",
    )
    seed: int | None = search(None, f"{opt.SEED_HELP}  [default: 42]")
    warm_start: Path | None = rare(
        None, "Fill half of the first generation with this genome and mutants of it."
    )
    minutes: float | None = budgeted(
        None,
        "Search all settings of `train` for this time, which covers the whole command except "
        "compilation.",
    )
    budget: float | None = of_budget(None, "Like --minutes, but limits the number of operations.")
    chat: bool = as_in_train("chat", "Budget")
    me: str | None = as_in_train("me", "Budget")
    separator: str | None = as_in_train("separator", "Budget")
    text: TextKind | None = as_in_train("text", "Budget")
    space: Path | None = rare(
        None,
        "TOML file with the values of each gene, mutation rates, the first generation and a target "
        "that ends the search.",
    )
    resume: Path | None = output(None, f"Directory of the search to resume, in {RUNS}.")
    train_winner: Path | None = output(
        None, "Train a model with the best genome and save it in this directory."
    )
    force: bool = rare_output(
        False,
        f"Replace an existing model in --train-winner, and {DEFAULT_GENOME} even if its score is "
        "better.",
    )
    trace: bool = rare_output(False, "Print a line per organism to standard error.")


@examples("microgpt evolve --train-winner winner")
@opt.with_options(SearchOptions)
def evolve(options: SearchOptions) -> None:
    """Search for good hyper-parameters by evolution.

    Each organism is trained from scratch and scored; the best reproduce. At the end, the
    finalists are retested with fresh seeds, and the genome of the winner is written to genome.json.
    """
    started, given = perf_counter(), given_options(options)
    run_path(options.resume)
    check_options(given)
    if _is_budgeted(given):
        from microgpt import TimeLimit
        from microgpt_cli.terminal.progress import load_kernels
        from microgpt_evolution.commands.budgeted_run import run as run_budgeted

        limit = None
        if options.minutes:
            limit = TimeLimit(options.minutes, started, load_kernels=load_kernels)
        run_budgeted(given, limit)
        return

    from microgpt_evolution.commands.evolve_run import run

    run(given)


def _is_budgeted(given: dict[str, Any]) -> bool:
    """Return whether the options are those of a search with a budget.

    Raises:
        ConfigError: an option belongs to a different kind of search.
    """
    limit = next((name for name in ("minutes", "budget") if name in given), None)
    if "resume" in given:
        from microgpt_evolution.runs.run_directory import BUDGETED as BUDGETED_RUN
        from microgpt_evolution.runs.run_directory import kind_at

        is_budgeted = kind_at(given["resume"]) == BUDGETED_RUN
        for name in given:
            if name not in (RESUMED if is_budgeted else (*RESUMED, "trace")):
                refuse_both(typed(name), "the run to resume")
        return is_budgeted
    for name in given:
        if limit and name not in BUDGETED:
            refuse_both(typed(name), typed(limit))
        if not limit and name in OF_BUDGET:
            needed = f"{typed(name)} requires --minutes or --budget"
            raise ConfigError(f"{needed}; add one of them or omit {typed(name)}")
    return limit is not None
