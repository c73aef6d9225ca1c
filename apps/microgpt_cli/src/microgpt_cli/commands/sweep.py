"""`microgpt sweep`: train with many settings and seeds."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from microgpt.config import DEFAULT_SEED
from microgpt.errors import ConfigError
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import RUNS, Chat, Input, Scheduler, Workers, data, panel

repeats, grid_axis = panel("Repeats"), panel("Grid, values with commas between")

Seeds = Annotated[int, repeats(help="Trainings of each model, for the intervals.")]
Seed = Annotated[int, repeats(help="Of the first; the others follow it.")]
N_SEEDS = 3

sweep = command_group(
    """Train a model many times, to see what steps, size or any other setting buy.

    Every training learns from 80 % of the documents and is measured on 10 % that it has not seen.
    `microgpt analyze` makes tables and pictures of it.
    """
)


@sweep.command(cls=GroupedCommand, epilog="Example: microgpt sweep steps && microgpt analyze")
def steps(
    ctx: typer.Context,
    input: Input = None,
    chat: Chat = False,
    set_: Annotated[
        Literal["fibonacci", "tripling"],
        data(
            "--set",
            help="fibonacci: 1,000, 2,000, 3,000, 5,000, 8,000, 13,000, 21,000 steps; tripling: "
            "1,000, 3,000, 9,000.",
        ),
    ] = "fibonacci",
    seeds: Seeds = N_SEEDS,
    seed: Seed = DEFAULT_SEED,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Train Karpathy's model for more and more steps.

    Both sets are those of evolve-rust. fibonacci is the default: it reaches 21,000 steps, and seven
    points that grow by about the same factor suit the power law that `analyze` fits.
    """
    from microgpt_cli.search.sweep_run import begin
    from microgpt_evolution.sweep.config import SweepConfig
    from microgpt_evolution.sweep.grid import STEPS

    begin("steps", [SweepConfig(steps=steps) for steps in STEPS[set_]], ctx.params)


@sweep.command(cls=GroupedCommand, epilog="Example: microgpt sweep params && microgpt analyze")
def params(
    ctx: typer.Context,
    input: Input = None,
    chat: Chat = False,
    seeds: Seeds = N_SEEDS,
    seed: Seed = DEFAULT_SEED,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Train a small, a medium and a large model for 5,000 steps.

    They are 16 wide with 4 heads and 1 layer, 32 with 4 and 2, and 64 with 8 and 4.
    """
    from microgpt_cli.search.sweep_run import begin
    from microgpt_evolution.sweep.grid import SIZES

    begin("params", list(SIZES.values()), ctx.params)


def _axis(help: str) -> Any:
    return grid_axis(help=help, metavar="<list>")


@sweep.command(
    cls=GroupedCommand,
    epilog="Example: microgpt sweep grid --n-embd 16,32 --steps 1000,4000 --lr 0.005,0.01",
)
def grid(
    ctx: typer.Context,
    n_embd: Annotated[str | None, _axis("Width: numbers a token.")] = None,
    n_head: Annotated[str | None, _axis("Attention heads; they share n_embd.")] = None,
    n_layer: Annotated[str | None, _axis("Depth: transformer blocks.")] = None,
    block_size: Annotated[str | None, _axis("Context: tokens the model can see.")] = None,
    n_ff_exp: Annotated[str | None, _axis("MLP width, in multiples of n_embd.")] = None,
    steps: Annotated[str | None, _axis("Updates of the weights.")] = None,
    lr: Annotated[str | None, _axis("Learning rate; falls linearly to 0.")] = None,
    batch_size: Annotated[str | None, _axis("Documents a step.")] = None,
    dtype: Annotated[str | None, _axis("Precision: float32, float64.")] = None,
    dropout: Annotated[str | None, _axis("Share of a layer's results to drop at random.")] = None,
    weight_decay: Annotated[str | None, _axis("Share of lr that weights lose a step.")] = None,
    average_tail: Annotated[str | None, _axis("Share of a training, its end, to average.")] = None,
    input: Input = None,
    chat: Chat = False,
    seeds: Seeds = N_SEEDS,
    seed: Seed = DEFAULT_SEED,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Train every combination of settings of `microgpt train`; what is not named is as there."""
    from microgpt_cli.search.sweep_run import begin
    from microgpt_evolution.sweep.config import SweepConfig
    from microgpt_evolution.sweep.grid import grid as all_combinations

    axes = {
        field.name: _values(field.name, text, type(field.default))
        for field in dataclasses.fields(SweepConfig)
        if (text := ctx.params[field.name]) is not None
    }
    if not axes:
        raise ConfigError("a grid needs settings, such as --n-embd 16,32 --lr 0.005,0.01")
    configs, impossible = all_combinations(axes)
    for problem in impossible:
        note(f"left out: {problem}")
    begin("grid", configs, ctx.params)


@sweep.command(
    cls=GroupedCommand, epilog=f"Example: microgpt sweep resume {RUNS}/sweep_20261120_120000"
)
def resume(
    run: Annotated[
        Path, typer.Argument(help=f"A directory in {RUNS}.", metavar="RUN", show_default=False)
    ],
    input: Annotated[
        Path | None, data(help="Where the documents are now.  [default: where they were]")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Go on with a sweep that was stopped; it ends as if it never had been."""
    from microgpt_cli.search import sweep_run

    sweep_run.resume(run, input, workers, scheduler)


def _values(name: str, text: str, kind: Callable[[str], Any]) -> list[Any]:
    """Parse a comma-separated list of values; raise ConfigError if one is invalid."""
    try:
        return [kind(part.strip()) for part in text.split(",")]
    except ValueError as error:
        what = "numbers, such as 0.1,0.2" if kind is float else "whole numbers, such as 1,2,4"
        flag = f"--{name.replace('_', '-')}"
        raise ConfigError(f"{flag} is a list of {what}, got {text!r:.80}") from error
