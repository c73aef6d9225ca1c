"""`microgpt sweep`: train models with many settings and seeds."""

from dataclasses import dataclass, make_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from microgpt import DEFAULT_SEED, FIELDS, ConfigError, Given, check_setting, flag, setting
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_evolution.commands.options import (
    SCHEDULER_HELP,
    WORKERS_HELP,
    Workers,
    as_in_train,
    check_options,
    given_options,
)
from microgpt_evolution.commands.runs import RUNS, run_path
from microgpt_evolution.genome import Genome
from microgpt_evolution.sweep.config import SETTINGS, SIZES, STEPS

N_SEEDS, MAX_SEEDS = 3, 1000  # training runs per model of a sweep
SHORT_AXES = {"n_embd", "n_head", "n_layer", "block_size", "steps", "lr", "batch_size"}
repeats = partial(setting, panel="Repeats", short=True)
other = partial(setting, panel="Other settings")

sweep = command_group(
    """Train models with many settings and seeds.

    Each run trains on 80% of the documents and measures the loss on 10% of them, which are held
    out. `microgpt analyze` prints tables of the results and draws charts.
    """
)


@dataclass(frozen=True)
class SweepOptions(Workers):
    """The options of all sweeps."""

    input: Path | None = setting(
        None,
        f"{opt.TEXT_HELP}; with --chat, JSONL or an exported chat.  "
        f"[default: data/{opt.DEFAULT_TEXT}; with --chat: data/{opt.DEFAULT_CHAT}]",
        *opt.DATA,
        panel="Data",
        short=True,
    )
    chat: bool = as_in_train("chat", short=True)
    column: str | None = as_in_train("column", short=True)
    me: str | None = as_in_train("me")
    separator: str | None = as_in_train("separator")
    seeds: int = repeats(
        N_SEEDS,
        "Number of training runs per configuration; more runs narrow the confidence intervals.",
    )
    seed: int = repeats(
        DEFAULT_SEED, "Seed of the first run; incremented by 1 for each further run."
    )

    def given(self) -> Given:
        """Return the options that have a value, by name; raise ConfigError if one is wrong."""
        given = given_options(self)
        check_options(given, axes=SETTINGS)
        if self.seeds > MAX_SEEDS:
            raise ConfigError(f"seeds must be at most {MAX_SEEDS}, got {self.seeds}")
        check_setting("seed", self.seed + self.seeds - 1)
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
class OthersOptions(SweepOptions):
    """The options of `sweep grid` for the settings that it does not vary."""

    minutes: float | None = other(
        None,
        "Choose the settings as `train --minutes` does; each training run takes about this long.",
        short=True,
    )
    budget: float | None = other(None, "Like --minutes, but limits the number of operations.")
    preset: Literal["karpathy"] | None = other(
        None,
        "Use Karpathy's settings with a learning rate of 0.005; the default for his names.",
    )


def _axis(name: str) -> tuple[str, Any, Any]:
    """Return the option of `sweep grid` that varies a setting; its help lists the choices."""
    kind, rule = FIELDS[name].type, FIELDS[name].metadata
    literals = [each for each in (kind, *get_args(kind)) if get_origin(each) is Literal]
    choices = get_args(literals[0]) if literals else ()
    help = rule["help"].partition("  [")[0]
    if choices:
        help = f"{help.rstrip('.')} ({', '.join(choices)})."
    panel, short = "Grid (comma-separated values)", name in SHORT_AXES
    axis = setting(None, help, *rule["flags"], metavar="<list>", panel=panel, short=short)
    return name, str | None, axis


GridOptions = make_dataclass(
    "GridOptions", map(_axis, SETTINGS), bases=(OthersOptions,), frozen=True
)


@sweep.command(cls=GroupedCommand, epilog="microgpt sweep steps && microgpt analyze")
@opt.with_options(StepsOptions)
def steps(options: StepsOptions) -> None:
    """Train Karpathy's model with increasing numbers of steps.

    Both sets of step counts are from evolve-rust. The default, fibonacci, has more points, up to
    21,000 steps. Its nearly constant growth factor suits the power law that `analyze` fits.
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

    start_sweep("params", list(SIZES.values()), options.given())


@sweep.command(
    cls=GroupedCommand, epilog="microgpt sweep grid --n-embd 16,32 --learning-rate 0.005,0.01"
)
@opt.with_options(GridOptions)
def grid(options: OthersOptions) -> None:
    """Train every combination of settings.

    A <list> is comma-separated. `train` chooses all other settings for the file; its own choice is
    also a row of the table. For Karpathy's names, all other settings are those of his run, except
    the learning rate, which is 0.005.
    """
    given = options.given()
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
    run: Path = opt.argument(
        ..., f"Directory of the sweep to resume, in {RUNS}.", "RUN", callback=run_path
    ),
    input: Path | None = opt.option(
        None, "New path of the input file, if it has been moved.", *opt.DATA, rich_help_panel="Data"
    ),
    workers: int | None = opt.option(None, WORKERS_HELP, rich_help_panel="Workers"),
    scheduler: str | None = opt.option(
        None, SCHEDULER_HELP, rich_help_panel="Workers", hidden=True
    ),
) -> None:
    """Resume an interrupted sweep.

    The result is the same as without the interruption.
    """
    given = given_options(Workers(workers, scheduler))
    check_options(given)
    from microgpt_evolution.commands import sweep_run

    sweep_run.resume(run, input, given)


def _value(word: str) -> Any:
    """Return a word of a list as a number or a name; `grid` checks its type."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
