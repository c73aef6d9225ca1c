"""`microgpt evolve`: search for the best hyper-parameters of a model."""

from time import perf_counter

from microgpt import ConfigError
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import with_options
from microgpt_evolution.commands.options import EvolveOptions
from microgpt_evolution.commands.runs import run_path

# The options that may be changed when a search with a budget is resumed.
RESUMED = ("input", "workers", "scheduler", "resume", "train_winner", "force")


@examples("microgpt evolve --train-winner winner")
@with_options(EvolveOptions)
def evolve(options: EvolveOptions) -> None:
    """Search for good hyper-parameters by evolution.

    Each organism is trained from scratch and scored; the best reproduce. At the end, the
    finalists are retested with fresh seeds, and the genome of the winner is written to genome.json.
    """
    started = perf_counter()
    run_path(options.resume)
    options.check_ranges()
    if _is_budgeted(options):
        from microgpt import TimeLimit
        from microgpt_evolution.commands.budgeted_run import run as run_budgeted

        minutes = options.minutes
        limit = TimeLimit(minutes, started) if minutes else None
        run_budgeted(options, limit)
        return

    from microgpt_evolution.commands.evolve_run import run

    run(options)


def _is_budgeted(options: EvolveOptions) -> bool:
    """Return whether the options are those of a search with a budget.

    Raises:
        ConfigError: an option belongs to a different kind of search.
    """
    if known := options.resume:
        from microgpt_evolution.runs.run_directory import BUDGETED, kind_at

        if kind_at(known) == BUDGETED:
            for name in options:
                if name not in RESUMED:
                    said = options.said(name)
                    raise ConfigError(
                        f"{said} cannot be used with the run to resume; omit one of them"
                    )
            options.check()
            return True
    options.check()
    return options.limits.has_budget
