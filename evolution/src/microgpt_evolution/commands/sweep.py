"""`microgpt sweep`: train models with many settings and seeds."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from microgpt import DEFAULT_SEED, FIELDS, ConfigError, check_setting, flag
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_evolution.commands.options import (
    SCHEDULER,
    WORKERS,
    check_options,
    given_options,
    option_of_train,
)
from microgpt_evolution.commands.runs import RUNS, run_path
from microgpt_evolution.genome import Genome
from microgpt_evolution.sweep.config import SETTINGS, SIZES, STEPS

N_SEEDS, MAX_SEEDS = 3, 1000  # training runs per model of a sweep
SHORT_AXES = {"n_embd", "n_head", "n_layer", "block_size", "steps", "lr", "batch_size"}
REPEATS, OTHERS = "Repeats", "Other settings"
Command = Callable[[Mapping[str, Any]], None]
other = partial(opt.option, rich_help_panel=OTHERS, hidden=True)

sweep = command_group(
    """Train models with many settings and seeds.

    Each run trains on 80% of the documents and measures the loss on 10% of them, which are held
    out. `microgpt analyze` prints tables of the results and draws charts.
    """
)


def _of_all(
    input: Path | None = opt.option(
        None,
        f"{opt.TEXT_HELP}; with --chat, JSONL or an exported chat.  "
        f"[default: data/{opt.DEFAULT_TEXT}; with --chat: data/{opt.DEFAULT_CHAT}]",
        *opt.DATA,
        rich_help_panel="Data",
    ),
    chat: bool = option_of_train("chat", short=True),
    column: str | None = option_of_train("column", short=True),
    me: str | None = option_of_train("me"),
    separator: str | None = option_of_train("separator"),
    seeds: int = opt.option(
        N_SEEDS,
        "Number of training runs per configuration; more runs narrow the confidence intervals.",
        rich_help_panel=REPEATS,
    ),
    seed: int = opt.option(
        DEFAULT_SEED,
        "Seed of the first run; incremented by 1 for each further run.",
        rich_help_panel=REPEATS,
    ),
    workers: int | None = WORKERS,
    scheduler: str | None = SCHEDULER,
) -> None:
    """The options of all sweeps."""


def _of_steps(
    set_: Literal["fibonacci", "tripling"] = opt.option(
        "fibonacci",
        "Step counts. fibonacci: 1,000, 2,000, 3,000, 5,000, 8,000, 13,000, 21,000. "
        "tripling: 1,000, 3,000, 9,000.",
        "--set",
        rich_help_panel="Data",
    ),
) -> None:
    """The option of `sweep steps`."""


def _of_grid(
    minutes: float | None = opt.option(
        None,
        "Choose the settings as `train --minutes` does; each training run takes about this long.",
        rich_help_panel=OTHERS,
    ),
    budget: float | None = other(None, "Like --minutes, but limits the number of operations."),
    preset: Literal["karpathy"] | None = other(
        None,
        "Use Karpathy's settings with a learning rate of 0.005; the default for his names.",
    ),
) -> None:
    """The options of `sweep grid` for the settings that it does not vary."""


def _axis(name: str) -> Parameter:
    """Return the option of `sweep grid` that varies a setting; its help lists the choices."""
    kind, rule = FIELDS[name].type, FIELDS[name].metadata
    literals = [each for each in (kind, *get_args(kind)) if get_origin(each) is Literal]
    choices = ("false", "true") if kind is bool else get_args(literals[0]) if literals else ()
    help = rule["help"].partition("  [")[0]
    if choices:
        help = f"{help.rstrip('.')} ({', '.join(choices)})."
    axis = opt.option(
        None,
        help,
        *rule["flags"],
        metavar="<list>",
        rich_help_panel="Grid (comma-separated values)",
        hidden=name not in SHORT_AXES,
    )
    return Parameter(name, Parameter.KEYWORD_ONLY, default=axis, annotation=str | None)


def _with_options(*options: Parameter) -> Callable[[Command], Callable[..., None]]:
    """Return a decorator for a command that gets its options by name, if they have a value."""

    def decorate(command: Command) -> Callable[..., None]:
        def run(ctx: typer.Context, **_: object) -> None:
            given = given_options(ctx)
            check_options(given, axes=SETTINGS)
            if given["seeds"] > MAX_SEEDS:
                raise ConfigError(f"seeds must be at most {MAX_SEEDS}, got {given['seeds']}")
            check_setting("seed", given["seed"] + given["seeds"] - 1)
            command(given)

        own = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in options]
        run.__signature__ = Signature([signature(run).parameters["ctx"], *own])  # type: ignore[attr-defined]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def _parameters(command: Callable[..., None]) -> tuple[Parameter, ...]:
    return tuple(signature(command).parameters.values())


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep steps && microgpt analyze")
@_with_options(*_parameters(_of_all), *_parameters(_of_steps))
def steps(given: Mapping[str, Any]) -> None:
    """Train Karpathy's model with increasing numbers of steps.

    Both sets of step counts are from evolve-rust. The default, fibonacci, has more points, up to
    21,000 steps. Its nearly constant growth factor suits the power law that `analyze` fits.
    """
    from microgpt_evolution.commands.sweep_run import start_sweep

    start_sweep("steps", [Genome(steps=steps) for steps in STEPS[given["set_"]]], given)


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep params && microgpt analyze")
@_with_options(*_parameters(_of_all))
def params(given: Mapping[str, Any]) -> None:
    """Train a small, a medium and a large model for 5,000 steps.

    The values of n_embd, n_head and n_layer are 16, 4, 1; 32, 4, 2; and 64, 8, 4.
    """
    from microgpt_evolution.commands.sweep_run import start_sweep

    start_sweep("params", list(SIZES.values()), given)


@sweep.command(
    cls=GroupedCommand, epilog="microgpt sweep grid --n-embd 16,32 --learning-rate 0.005,0.01"
)
@_with_options(*map(_axis, SETTINGS), *_parameters(_of_grid), *_parameters(_of_all))
def grid(given: Mapping[str, Any]) -> None:
    """Train every combination of settings.

    A <list> is comma-separated. `train` chooses all other settings for the file; its own choice is
    also a row of the table. For Karpathy's names, all other settings are those of his run, except
    the learning rate, which is 0.005.
    """
    axes = {
        name: [_value(word.strip()) for word in given[name].split(",")]
        for name in SETTINGS
        if name in given
    }
    if not axes:
        raise ConfigError(
            "the grid has no settings; pass at least one, such as --n-embd 16,32 "
            "--learning-rate 0.005,0.01"
        )
    for name, values in axes.items():
        for value in values:
            check_setting(name, value, flag(name))
    from microgpt_evolution.commands.sweep_run import start_grid

    start_grid(axes, given)


@sweep.command(cls=GroupedCommand, epilog=f"microgpt sweep resume {RUNS}/sweep_20261120_120000")
def resume(
    ctx: typer.Context,
    run: Path = opt.argument(
        ..., f"Directory of the sweep to resume, in {RUNS}.", "RUN", callback=run_path
    ),
    input: Path | None = opt.option(
        None, "New path of the input file, if it has been moved.", *opt.DATA, rich_help_panel="Data"
    ),
    workers: int | None = WORKERS,
    scheduler: str | None = SCHEDULER,
) -> None:
    """Resume an interrupted sweep.

    The result is the same as without the interruption.
    """
    given = given_options(ctx)
    check_options(given)
    from microgpt_evolution.commands import sweep_run

    sweep_run.resume(given)


def _value(word: str) -> Any:
    """Return a word of a list as a boolean, a number or a name; `grid` checks its type."""
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
