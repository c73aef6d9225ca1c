"""`microgpt sweep`: train models with many settings and seeds."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from microgpt.config import DEFAULT_SEED
from microgpt.errors import ConfigError
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import (
    DATA,
    LR,
    N_SEEDS,
    RUNS,
    Chat,
    Column,
    Input,
    Scheduler,
    Workers,
    data,
    flag_of,
    panel,
    run_path,
)

repeats, grid_axis = panel("Repeats"), panel("Grid (comma-separated values)")
BOOLEANS = {"true": True, "false": False}

Seeds = Annotated[
    int,
    repeats(help="Number of training runs per model; more runs narrow the confidence intervals."),
]
Seed = Annotated[int, repeats(help="Seed of the first run; incremented by 1 for each further run.")]

sweep = command_group(
    """Train models with many settings and seeds.

    Each run trains on 80% of the documents and measures the loss on 10% of them, which are held
    out. `microgpt analyze` prints tables of the results and draws charts.
    """
)


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep steps && microgpt analyze")
def steps(
    ctx: typer.Context,
    input: Input = None,
    chat: Chat = False,
    column: Column = None,
    set_: Annotated[
        Literal["fibonacci", "tripling"],
        data(
            "--set",
            help="Step counts. fibonacci: 1,000, 2,000, 3,000, 5,000, 8,000, 13,000, 21,000. "
            "tripling: 1,000, 3,000, 9,000.",
        ),
    ] = "fibonacci",
    seeds: Seeds = N_SEEDS,
    seed: Seed = DEFAULT_SEED,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Train Karpathy's model with increasing numbers of steps.

    Both sets of step counts are from evolve-rust. The default, fibonacci, has more points, up to
    21,000 steps. Its nearly constant growth factor suits the power law that `analyze` fits.
    """
    from microgpt_cli.search.sweep_run import start_sweep
    from microgpt_evolution.sweep.config import SweepConfig
    from microgpt_evolution.sweep.grid import STEPS

    start_sweep("steps", [SweepConfig(steps=steps) for steps in STEPS[set_]], ctx.params)


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep params && microgpt analyze")
def params(
    ctx: typer.Context,
    input: Input = None,
    chat: Chat = False,
    column: Column = None,
    seeds: Seeds = N_SEEDS,
    seed: Seed = DEFAULT_SEED,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Train a small, a medium and a large model for 5,000 steps.

    The values of n_embd, n_head and n_layer are 16, 4, 1; 32, 4, 2; and 64, 8, 4.
    """
    from microgpt_cli.search.sweep_run import start_sweep
    from microgpt_evolution.sweep.grid import SIZES

    start_sweep("params", list(SIZES.values()), ctx.params)


def _axis(help: str, *names: str, hidden: bool = False) -> Any:
    return grid_axis(*names, help=help, metavar="<list>", hidden=hidden)


@sweep.command(
    cls=GroupedCommand,
    epilog="microgpt sweep grid --n-embd 16,32 --learning-rate 0.005,0.01",
)
def grid(
    ctx: typer.Context,
    n_embd: Annotated[str | None, _axis("Embedding width.")] = None,
    n_head: Annotated[str | None, _axis("Number of attention heads; must divide n_embd.")] = None,
    n_layer: Annotated[str | None, _axis("Number of transformer blocks.")] = None,
    block_size: Annotated[str | None, _axis("Context length in tokens.")] = None,
    n_ff_exp: Annotated[
        str | None, _axis("MLP width, in multiples of n_embd.", hidden=True)
    ] = None,
    steps: Annotated[str | None, _axis("Number of training steps.")] = None,
    lr: Annotated[str | None, _axis("Learning rate; decays linearly to 0.", *LR)] = None,
    batch_size: Annotated[str | None, _axis("Documents per step.")] = None,
    dtype: Annotated[str | None, _axis("Precision: float32 or float64.", hidden=True)] = None,
    dropout: Annotated[
        str | None, _axis("Dropout probability; reduces overfitting.", hidden=True)
    ] = None,
    weight_decay: Annotated[str | None, _axis("AdamW weight decay.", hidden=True)] = None,
    average_tail: Annotated[
        str | None, _axis("Average the weights over this last fraction of the steps.", hidden=True)
    ] = None,
    optimizer: Annotated[str | None, _axis("Optimizer: adamw, muon.", hidden=True)] = None,
    warmup_steps: Annotated[str | None, _axis("Number of warmup steps.", hidden=True)] = None,
    positions: Annotated[str | None, _axis("Positions: learned, rotary.", hidden=True)] = None,
    activation: Annotated[str | None, _axis("Activation: relu, relu2.", hidden=True)] = None,
    token_shift: Annotated[str | None, _axis("Token shift: false, true.", hidden=True)] = None,
    qk_norm: Annotated[str | None, _axis("QK norm: false, true.", hidden=True)] = None,
    final_norm: Annotated[str | None, _axis("Final norm: false, true.", hidden=True)] = None,
    out_scale: Annotated[str | None, _axis("Factor of output weights.", hidden=True)] = None,
    input: Input = None,
    chat: Chat = False,
    column: Column = None,
    seeds: Seeds = N_SEEDS,
    seed: Seed = DEFAULT_SEED,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Train every combination of settings.

    A <list> is comma-separated. All other settings are those of Karpathy's run, except
    the learning rate, which is 0.005.
    """
    from microgpt_cli.search.sweep_run import start_sweep
    from microgpt_evolution.sweep.config import SweepConfig
    from microgpt_evolution.sweep.grid import grid as all_combinations

    axes = {
        field.name: _values(field.name, text, type(field.default))
        for field in dataclasses.fields(SweepConfig)
        if (text := ctx.params[field.name]) is not None
    }
    if not axes:
        raise ConfigError(
            "the grid has no settings; pass at least one, such as --n-embd 16,32 "
            "--learning-rate 0.005,0.01"
        )
    configs, impossible = all_combinations(axes)
    for problem in impossible:
        note(f"skipped: {problem}")
    start_sweep("grid", configs, ctx.params)


@sweep.command(cls=GroupedCommand, epilog=f"microgpt sweep resume {RUNS}/sweep_20261120_120000")
def resume(
    run: Annotated[
        Path,
        typer.Argument(
            help=f"Directory of the sweep to resume, in {RUNS}.",
            metavar="RUN",
            show_default=False,
            callback=run_path,
        ),
    ],
    input: Annotated[
        Path | None, data(*DATA, help="New path of the input file, if it was moved.")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Resume an interrupted sweep.

    The result is the same as without the interruption.
    """
    from microgpt_cli.search import sweep_run

    sweep_run.resume(run, input, workers, scheduler)


def _values(name: str, text: str, kind: type[Any]) -> list[Any]:
    """Parse a comma-separated list of values; raise ConfigError if a value is invalid."""
    try:
        read: Callable[[str], Any] = (lambda word: BOOLEANS[word.lower()]) if kind is bool else kind
        return [read(part.strip()) for part in text.split(",")]
    except (KeyError, ValueError) as error:
        what = {float: "numbers, such as 0.1,0.2", bool: "true or false"}.get(
            kind, "integers, such as 1,2,4"
        )
        flag = flag_of(name)
        raise ConfigError(
            f"{flag} must be a comma-separated list of {what}, got {text!r:.80}"
        ) from error
