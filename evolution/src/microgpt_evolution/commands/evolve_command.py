"""`microgpt evolve`: search for the best hyper-parameters of a model."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

from microgpt import FIELDS, Given, setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import examples
from microgpt_evolution.commands.study_options import (
    DEFAULT_GENOME,
    INPUT,
    RUNS,
    WorkerOptions,
    given_of,
    refuse_both,
    typed,
)
from microgpt_evolution.objectives import Fitness, ObjectiveName
from microgpt_evolution.objectives.aesthetic_judge import HeadName

LIMITS = ("minutes", "budget")
ONLY_GENERATIONS = ("objective", "population", "generations", "fitness", "head", "trace")
NOT_RESUMED = ("column", "objective", "population", "fitness", "head", "seed")
search, output = (partial(setting, panel=panel, short=True) for panel in ("Search", "Output"))
rare_search, rare_output = (partial(setting, panel=panel) for panel in ("Search", "Output"))


@dataclass(frozen=True)
class SearchOptions(WorkerOptions):
    """The options of `microgpt evolve`."""

    input: Path | None = search(*INPUT)
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
    fitness: Fitness | None = rare_search(
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
    minutes: float | None = search(
        None, "Search all settings of `train` for this time; everything but compilation counts."
    )
    budget: float | None = rare_search(None, "Like --minutes, but limits the number of operations.")
    resume: Path | None = output(
        None,
        f"Directory of the search to resume, in {RUNS}. A finished search without a budget "
        "continues until it has --generations in total.",
    )
    train_winner: Path | None = output(
        None, "Train a model with the best genome and save it in this directory."
    )
    force: bool = rare_output(
        False,
        f"Replace an existing model in --train-winner, or a {DEFAULT_GENOME} that is not a genome.",
    )
    trace: bool = rare_output(False, "Print a line per organism to standard error.")


@examples("microgpt evolve --train-winner winner")
@opt.with_options(SearchOptions)
def evolve(options: SearchOptions) -> None:
    """Search for good hyper-parameters by evolution.

    Each organism is trained from scratch and scored; the best reproduce. At the end, the
    finalists are retested with fresh seeds, and the genome of the winner is written to genome.json.
    """
    started, given = perf_counter(), given_of(vars(options))
    is_budgeted = _is_budgeted(given)
    from microgpt_evolution.commands.evolve_run import run_budgeted, run_generations

    if is_budgeted:
        run_budgeted(given, started)
    else:
        run_generations(given)


def _is_budgeted(given: Given) -> bool:
    """Return whether the search has a budget; raise ConfigError if options conflict."""
    by = next((typed(name) for name in LIMITS if name in given), "")
    excluded = ONLY_GENERATIONS if by else ()
    is_budgeted = bool(by)
    if "resume" in given:
        from microgpt_evolution.study_settings import BudgetedSettings, read_settings

        settings = read_settings(given["resume"])
        is_budgeted, by = isinstance(settings, BudgetedSettings), f"--resume of a {settings.kind}"
        excluded = (*NOT_RESUMED, *LIMITS, *(ONLY_GENERATIONS if is_budgeted else ()))
    for name in excluded:
        if name in given:
            refuse_both(typed(name), by)
    return is_budgeted
