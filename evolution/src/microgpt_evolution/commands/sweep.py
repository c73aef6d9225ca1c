"""`microgpt sweep`: train models with many settings and seeds."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from microgpt import ConfigError, Options
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_evolution.commands.options import BaseOptions, GridOptions, StepsOptions, SweepOptions
from microgpt_evolution.commands.runs import RUNS, run_path

BOOLEANS = {"true": True, "false": False}

sweep = command_group(
    """Train models with many settings and seeds.

    Each run trains on 80% of the documents and measures the loss on 10% of them, which are held
    out. `microgpt analyze` prints tables of the results and draws charts.
    """
)


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep steps && microgpt analyze")
@opt.with_options(SweepOptions, StepsOptions)
def steps(options: SweepOptions, counts: StepsOptions) -> None:
    """Train Karpathy's model with increasing numbers of steps.

    Both sets of step counts are from evolve-rust. The default, fibonacci, has more points, up to
    21,000 steps. Its nearly constant growth factor suits the power law that `analyze` fits.
    """
    from microgpt_evolution.commands.sweep_run import start_sweep
    from microgpt_evolution.sweep.config import STEPS, SweepConfig

    start_sweep("steps", [SweepConfig(steps=steps) for steps in STEPS[counts.set_]], options)


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep params && microgpt analyze")
@opt.with_options(SweepOptions)
def params(options: SweepOptions) -> None:
    """Train a small, a medium and a large model for 5,000 steps.

    The values of n_embd, n_head and n_layer are 16, 4, 1; 32, 4, 2; and 64, 8, 4.
    """
    from microgpt_evolution.commands.sweep_run import start_sweep
    from microgpt_evolution.sweep.config import SIZES

    start_sweep("params", list(SIZES.values()), options)


@sweep.command(
    cls=GroupedCommand, epilog="microgpt sweep grid --n-embd 16,32 --learning-rate 0.005,0.01"
)
@opt.with_options(GridOptions, BaseOptions, SweepOptions)
def grid(axes: Options, base: BaseOptions, options: SweepOptions) -> None:
    """Train every combination of settings.

    A <list> is comma-separated. `train` chooses all other settings for the file; its own choice is
    also a row of the table. For Karpathy's names, all other settings are those of his run, except
    the learning rate, which is 0.005.
    """
    from microgpt_evolution.commands.sweep_run import start_grid
    from microgpt_evolution.sweep.config import SweepConfig

    kinds = {field.name: type(field.default) for field in fields(SweepConfig)}
    values = {name: _values(axes, name, kinds[name]) for name in axes}
    if not values:
        raise ConfigError(
            "the grid has no settings; pass at least one, such as --n-embd 16,32 "
            "--learning-rate 0.005,0.01"
        )
    start_grid(values, base, options)


@sweep.command(cls=GroupedCommand, epilog=f"microgpt sweep resume {RUNS}/sweep_20261120_120000")
def resume(
    run: Path = opt.argument(
        ..., f"Directory of the sweep to resume, in {RUNS}.", "RUN", callback=run_path
    ),
    input: Path | None = opt.option(
        None, "New path of the input file, if it has been moved.", *opt.DATA, rich_help_panel="Data"
    ),
    workers: Annotated[int | None, opt.option_of(SweepOptions, "workers")] = None,
    scheduler: Annotated[str | None, opt.option_of(SweepOptions, "scheduler")] = None,
) -> None:
    """Resume an interrupted sweep.

    The result is the same as without the interruption.
    """
    from microgpt_evolution.commands import sweep_run

    sweep_run.resume(run, input, SweepOptions(workers=workers, scheduler=scheduler))


def _values(axes: Options, name: str, kind: type[Any]) -> list[Any]:
    """Parse a comma-separated list of values; raise ConfigError if a value is invalid."""
    text = str(getattr(axes, name))
    whats = {float: "numbers, such as 0.1,0.2", bool: "true or false"}
    try:
        read: Callable[[str], Any] = (lambda word: BOOLEANS[word.lower()]) if kind is bool else kind
        return [read(part.strip()) for part in text.split(",")]
    except (KeyError, ValueError) as error:
        what = whats.get(kind, "integers, such as 1,2,4")
        raise ConfigError(
            f"{axes.flag(name)} must be a comma-separated list of {what}, got {text!r:.80}"
        ) from error
