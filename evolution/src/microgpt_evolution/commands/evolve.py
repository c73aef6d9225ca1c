"""`microgpt evolve`: search for the best hyper-parameters of a model."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

from microgpt import FIELDS, ConfigError, Given, setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import examples
from microgpt_evolution.commands.options import (
    WorkerOptions,
    check_options,
    given_options,
    refuse_both,
    typed,
)
from microgpt_evolution.commands.runs import DEFAULT_GENOME, RUNS, run_path
from microgpt_evolution.objectives.fitness import HeadName, LossName, ObjectiveName

ONLY_GENERATIONS = ("objective", "population", "generations", "fitness", "head", "trace")
NOT_RESUMED = ("column", "objective", "population", "fitness", "head", "seed", "warm_start")
search, output = (partial(setting, panel=panel, short=True) for panel in ("Search", "Output"))
rare_search, rare_output = (partial(setting, panel=panel) for panel in ("Search", "Output"))


@dataclass(frozen=True)
class SearchOptions(WorkerOptions):
    """The options of `microgpt evolve`."""

    input: Path | None = search(
        None, f"{opt.TEXT_HELP}.  [default: data/{opt.DEFAULT_TEXT}]", *opt.DATA
    )
    column: str | None = search(None, FIELDS["column"].metadata["help"])
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
    fitness: LossName | None = rare_search(
        None,
        "held-out: loss of held-out documents. last-doc: loss of the last training document, as in "
        "evolve-rust; depends mostly on luck.  [default: held-out]",
    )
    head: HeadName | None = rare_search(
        None,
        "Hydra head whose champion is saved as the genome.  "
        "[default: the champion that all heads together rank best]",
    )
    seed: int | None = search(None, f"{opt.SEED_HELP}  [default: 42]")
    warm_start: Path | None = rare_search(
        None, "Fill half of the first generation with this genome and mutants of it."
    )
    minutes: float | None = search(
        None,
        "Search all settings of `train` for this time, which covers the whole command except "
        "compilation.",
    )
    budget: float | None = rare_search(None, "Like --minutes, but limits the number of operations.")
    resume: Path | None = output(
        None,
        f"Directory of the search to resume, in {RUNS}. A finished search goes on for --minutes, "
        "or until it has --generations or --budget in total.",
    )
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
        from microgpt_cli.terminal.progress_bar import load_kernels
        from microgpt_evolution.commands.budgeted_run import run as run_budgeted

        limit = None
        if options.minutes:
            limit = TimeLimit(options.minutes, started, load_kernels=load_kernels)
        run_budgeted(given, limit)
        return

    from microgpt_evolution.commands.evolve_run import run

    run(given)


def _is_budgeted(given: Given) -> bool:
    """Return whether the options are those of a search with a budget.

    Raises:
        ConfigError: an option belongs to the other kind of search, or to a new one.
    """
    limit = next((name for name in ("minutes", "budget") if name in given), "")
    if "resume" not in given:
        excluded, by = ONLY_GENERATIONS if limit else (), typed(limit)
        is_budgeted = bool(limit)
    else:
        from microgpt_evolution.study_settings import BudgetedSettings, directory_of, read_settings

        settings = read_settings(directory_of(given["resume"]))
        is_budgeted, by = isinstance(settings, BudgetedSettings), "--resume"
        others = ONLY_GENERATIONS if is_budgeted else ("minutes", "budget")
        excluded = (*NOT_RESUMED, *others)
    for name in given:
        if name in excluded:
            if "resume" in given and name in {"generations", "minutes", "budget"}:
                more = "--minutes or --budget" if is_budgeted else "--generations"
                raise ConfigError(f"{typed(name)} is not for this search; it goes on with {more}")
            refuse_both(typed(name), by)
    return is_budgeted
