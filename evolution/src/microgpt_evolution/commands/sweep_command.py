"""`microgpt sweep`: train models with many settings and seeds."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from microgpt import DEFAULT_SEED, ConfigError, flag, setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_evolution.commands.study_options import (
    INPUT,
    RUNS,
    SCHEDULER,
    WORKERS,
    WorkerOptions,
    given_of,
    newest_run,
)
from microgpt_evolution.genome import Genome
from microgpt_evolution.strategies.grid import SETTINGS, SIZES, STEPS
from microgpt_evolution.strategies.grid import grid as combinations

N_SEEDS = 3  # default number of training runs per configuration
EXAMPLE = "--vary n_embd=16,32 --vary lr=0.005,0.01"
data, repeats = (partial(setting, panel=panel, short=True) for panel in ("Data", "Repeats"))

sweep = command_group(
    """Train models with many settings and seeds.

    Each run trains on 80% of the documents and measures the loss on 10% of them, which are held
    out. `microgpt analyze` prints tables of the results, and `microgpt report` draws them.
    """
)


@dataclass(frozen=True)
class SweepOptions(WorkerOptions):
    """The options that all `microgpt sweep` commands share."""

    input: Path | None = data(*INPUT)
    seeds: int = repeats(
        N_SEEDS,
        "Number of training runs per configuration; more runs narrow the confidence intervals.",
    )
    seed: int = repeats(
        DEFAULT_SEED, "Seed of the first run; incremented by 1 for each further run."
    )


@dataclass(frozen=True)
class StepsOptions(SweepOptions):
    """The options of `sweep steps`."""

    set: Literal["fibonacci", "tripling"] = data(
        "fibonacci",
        "Step counts. fibonacci: 1,000, 2,000, 3,000, 5,000, 8,000, 13,000, 21,000. "
        "tripling: 1,000, 3,000, 9,000.",
    )


@dataclass(frozen=True)
class GridOptions(SweepOptions):
    """The options of `sweep grid`."""

    vary: list[str] | None = data(
        None,
        f"A setting and its values, such as n_embd=16,32; repeat it for each setting to vary. "
        f"Settings: {', '.join(SETTINGS)}.",
        metavar="NAME=V1,V2",
    )


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep steps && microgpt analyze")
@opt.with_options(StepsOptions)
def steps(options: StepsOptions) -> None:
    """Train Karpathy's model with increasing numbers of steps.

    Both sets of step counts are from evolve-rust. The default, fibonacci, has more points, up to
    21,000 steps.
    """
    from microgpt_evolution.commands.sweep_run import run_sweep

    run_sweep(given_of(vars(options)), [Genome(steps=steps) for steps in STEPS[options.set]])


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep params && microgpt analyze")
@opt.with_options(SweepOptions)
def params(options: SweepOptions) -> None:
    """Train a small, a medium and a large model for 5,000 steps.

    The values of n_embd, n_head and n_layer are 16, 4, 1; 32, 4, 2; and 64, 8, 4.
    """
    from microgpt_evolution.commands.sweep_run import run_sweep

    run_sweep(given_of(vars(options)), [*SIZES.values()])


@sweep.command(cls=GroupedCommand, epilog=f"microgpt sweep grid {EXAMPLE}")
@opt.with_options(GridOptions)
def grid(options: GridOptions) -> None:
    """Train a model for every combination of the given values.

    All other settings are Karpathy's, except the learning rate, which is 0.005.
    """
    given, lists = given_of(vars(options)), [*map(_axis, options.vary or ())]
    axes = dict(lists)
    if len(axes) < len(lists):
        raise ConfigError("--vary names a setting twice; put all of its values into one list")
    if not axes:
        raise ConfigError(f"the grid has no settings; pass at least one, such as {EXAMPLE}")
    from microgpt_evolution.commands.sweep_run import run_sweep

    genomes, skipped = combinations(axes)
    run_sweep(given, genomes, skipped)


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep steps && microgpt sweep resume --seeds 4")
def resume(
    run: Path | None = opt.argument(
        None, f"Directory of the sweep to resume.  [default: the newest in {RUNS}]", "RUN"
    ),
    input: Path | None = opt.option(
        None, "New path of the input file, if it has been moved.", *opt.DATA
    ),
    seeds: int | None = opt.option(None, "New number of training runs per configuration."),
    workers: int | None = opt.option(None, WORKERS),
    scheduler: str | None = opt.option(None, SCHEDULER),
) -> None:
    """Resume an interrupted sweep, or train a finished one with more seeds.

    The result is the same as without the interruption.
    """
    from microgpt_evolution.commands.sweep_run import run_sweep

    options = {"input": input, "seeds": seeds, "workers": workers, "scheduler": scheduler}
    run_sweep(given_of({**options, "resume": run or newest_run("sweep steps")}))


def _axis(typed: str) -> tuple[str, list[Any]]:
    """Return the name and the values of a --vary option, such as n_embd=16,32."""
    name, equals, values = typed.partition("=")
    if not equals:
        raise ConfigError(f"--vary must be a setting and its values, got {typed!r}; use {EXAMPLE}")
    name = name.strip().lstrip("-").replace("-", "_")
    flags = {flag(each)[2:].replace("-", "_"): each for each in SETTINGS}
    return flags.get(name, name), [_value(word.strip()) for word in values.split(",")]


def _value(word: str) -> Any:
    """Convert a value of a --vary list to a number, a bool or a name; `grid` checks its type."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(word.lower(), word)
