"""`microgpt sweep`: train models with many settings and seeds."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from microgpt import DEFAULT_SEED, ConfigError, Given, flag, setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_evolution.commands.options import WorkerOptions, given_of, seeds_from
from microgpt_evolution.commands.runs import RUNS
from microgpt_evolution.genome import Genome
from microgpt_evolution.strategies.grid import SETTINGS, SIZES, STEPS
from microgpt_evolution.strategies.grid import grid as combinations

N_SEEDS = 3  # training runs per model of a sweep
EXAMPLE = "--vary n_embd=16,32 --vary lr=0.005,0.01"
repeats = partial(setting, panel="Repeats", short=True)
varied = partial(setting, panel="Grid")

sweep = command_group(
    """Train models with many settings and seeds.

    Each run trains on 80% of the documents and measures the loss on 10% of them, which are held
    out. `microgpt analyze` prints tables of the results and draws charts.
    """
)


@dataclass(frozen=True)
class SweepOptions(WorkerOptions):
    """The options of all sweeps."""

    input: Path | None = setting(
        None,
        f"{opt.TEXT_HELP}.  [default: data/{opt.DEFAULT_TEXT}]",
        *opt.DATA,
        panel="Data",
        short=True,
    )
    seeds: int = repeats(
        N_SEEDS,
        "Number of training runs per configuration; more runs narrow the confidence intervals.",
    )
    seed: int = repeats(
        DEFAULT_SEED, "Seed of the first run; incremented by 1 for each further run."
    )

    def given(self) -> Given:
        """Return the options that have a value, by name; raise ConfigError if one is wrong."""
        given = given_of(vars(self))
        seeds_from(self.seed, self.seeds)
        return given


@dataclass(frozen=True)
class StepsOptions(SweepOptions):
    """The options of `sweep steps`."""

    set: Literal["fibonacci", "tripling"] = setting(
        "fibonacci",
        "Step counts. fibonacci: 1,000, 2,000, 3,000, 5,000, 8,000, 13,000, 21,000. "
        "tripling: 1,000, 3,000, 9,000.",
        panel="Data",
        short=True,
    )


@dataclass(frozen=True)
class GridOptions(SweepOptions):
    """The options of `sweep grid`."""

    vary: list[str] | None = varied(
        None,
        f"A setting and its values, such as n_embd=16,32; repeat it for each setting to vary. "
        f"Settings: {', '.join(SETTINGS)}.",
        metavar="NAME=V1,V2",
        short=True,
    )


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep steps && microgpt analyze")
@opt.with_options(StepsOptions)
def steps(options: StepsOptions) -> None:
    """Train Karpathy's model with increasing numbers of steps.

    Both sets of step counts are from evolve-rust. The default, fibonacci, has more points, up to
    21,000 steps.
    """
    from microgpt_evolution.commands.sweep_run import start_sweep

    start_sweep("steps", [Genome(steps=steps) for steps in STEPS[options.set]], options.given())


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep params && microgpt analyze")
@opt.with_options(SweepOptions)
def params(options: SweepOptions) -> None:
    """Train a small, a medium and a large model for 5,000 steps.

    The values of n_embd, n_head and n_layer are 16, 4, 1; 32, 4, 2; and 64, 8, 4.
    """
    from microgpt_evolution.commands.sweep_run import start_sweep

    start_sweep("params", [*SIZES.values()], options.given())


@sweep.command(cls=GroupedCommand, epilog=f"microgpt sweep grid {EXAMPLE}")
@opt.with_options(GridOptions)
def grid(options: GridOptions) -> None:
    """Train every combination of the values of settings.

    All other settings are Karpathy's, except the learning rate, which is 0.005.
    """
    given, lists = options.given(), [*map(_axis, options.vary or ())]
    axes = dict(lists)
    if len(axes) < len(lists):
        raise ConfigError("--vary names a setting twice; put all of its values into one list")
    if not axes:
        raise ConfigError(f"the grid has no settings; pass at least one, such as {EXAMPLE}")
    from microgpt_evolution.commands.sweep_run import start_sweep

    genomes, skipped = combinations(axes)
    start_sweep("grid", genomes, given, skipped)


def _again(name: str) -> Any:
    """Return an option of all studies, which is given again when one is resumed."""
    facts = WorkerOptions.__dataclass_fields__[name].metadata
    help, panel = facts["help"], facts["panel"]
    return opt.option(None, help, rich_help_panel=panel, hidden=not facts.get("short"))


@sweep.command(cls=GroupedCommand, epilog=f"microgpt sweep resume {RUNS}/sweep_20261120_120000")
def resume(
    run: Path = opt.argument(..., f"Directory of the sweep to resume, in {RUNS}.", "RUN"),
    input: Path | None = opt.option(
        None, "New path of the input file, if it has been moved.", *opt.DATA, rich_help_panel="Data"
    ),
    seeds: int | None = opt.option(
        None, "Train each configuration with so many seeds instead.", rich_help_panel="Repeats"
    ),
    workers: int | None = _again("workers"),
    scheduler: str | None = _again("scheduler"),
    trial_minutes: float | None = _again("trial_minutes"),
) -> None:
    """Resume an interrupted sweep, or train a finished one with more seeds.

    The result is the same as without the interruption.
    """
    from microgpt_evolution.commands.sweep_run import run_sweep

    options = {"input": input, "seeds": seeds, "workers": workers, "scheduler": scheduler}
    run_sweep(given_of({**options, "trial_minutes": trial_minutes, "resume": run}))


def _axis(typed: str) -> tuple[str, list[Any]]:
    """Return the name and the values of a --vary option, such as n_embd=16,32."""
    name, equals, values = typed.partition("=")
    if not equals:
        raise ConfigError(f"--vary must be a setting and its values, got {typed!r}; use {EXAMPLE}")
    name = name.strip().lstrip("-").replace("-", "_")
    flags = {flag(each)[2:].replace("-", "_"): each for each in SETTINGS}
    return flags.get(name, name), [_value(word.strip()) for word in values.split(",")]


def _value(word: str) -> Any:
    """Return a word of a list as a number, a truth value or a name; the grid checks its type."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(word.lower(), word)
