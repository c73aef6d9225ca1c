"""The options of `microgpt evolve` and `microgpt sweep`, in the order of the help."""

from dataclasses import dataclass, make_dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from microgpt import (
    ConfigError,
    Options,
    TextKind,
    TrainOptions,
    borrowed,
    check_count,
    check_number,
    check_seed,
    setting,
)
from microgpt_cli.terminal.options import DEFAULT_TEXT, TEXT_HELP
from microgpt_evolution.commands.runs import DEFAULT_GENOME, RUNS

LIMITS = ("minutes", "budget")
search, beauty, budgeted, parallel, output = (
    partial(setting, panel=panel) for panel in ("Search", "Beauty", "Budget", "Workers", "Output")
)
of_training = partial(borrowed, TrainOptions)
# The options of a search with a budget.
ALLOWED = (
    "input column minutes budget chat me separator text seed "
    "warm_start space workers scheduler resume train_winner force"
)
POSITIVE = "a number greater than 0"
N_SEEDS, MAX_SEEDS = 3, 1000  # training runs per model of a sweep
# The settings of `microgpt_evolution.sweep.config`, which the help must not import.
SETTINGS = (
    *("n_embd", "n_head", "n_layer", "block_size", "n_ff_exp", "steps", "lr", "batch_size"),
    *("dtype", "dropout", "weight_decay", "average_tail", "optimizer", "warmup_steps"),
    *("positions", "activation", "token_shift", "qk_norm", "final_norm", "out_scale"),
)
SHORT_AXES = {"n_embd", "n_head", "n_layer", "block_size", "steps", "lr", "batch_size"}


@dataclass(frozen=True)
class EvolveOptions(Options):
    """Options that a user can set for a search."""

    input: Path | None = of_training(
        "input", panel="Search", help=f"{TEXT_HELP}.  [default: data/{DEFAULT_TEXT}]"
    )
    column: str | None = of_training("column")
    objective: Literal["loss", "aesthetic", "hydra"] = search(
        "loss",
        "loss: minimize the loss; aesthetic: maximize the judge's score of generated names; hydra: "
        "evolve three populations (heads), each with its own score for names.",
        short=True,
    )
    population: int | None = search(
        None,
        "Number of organisms per generation; with hydra, per head.  [default: 8; aesthetic: 12]",
        short=True,
    )
    generations: int | None = search(
        None,
        "Number of generations; with hydra, number of cycles of three generations each.  "
        "[default: 10; aesthetic, hydra: 5]",
        short=True,
    )
    fitness: Literal["held-out", "last-doc"] | None = search(
        None,
        "held-out: loss of held-out documents. last-doc: loss of the last training document, as in "
        "evolve-rust; depends mostly on luck.  [default: held-out]",
    )
    samples: int | None = beauty(
        None,
        "Number of names to generate and score per organism; evolve-rust uses 5.  [default: 200]",
    )
    head: Literal["weaver", "mirror", "spark"] | None = beauty(
        None,
        "Hydra head whose champion is saved as the genome.  "
        "[default: the champion that all heads together rank best]",
    )
    seed: int = of_training("seed", panel="Search", short=True)
    warm_start: Path | None = search(
        None, "Fill half of the first generation with this genome and mutants of it."
    )
    minutes: float | None = budgeted(
        None,
        "Search all settings of `train` for this time, which covers the whole command except "
        "compilation.",
        short=True,
        excludes="budget",
        allows=ALLOWED,
    )
    budget: float | None = budgeted(
        None, "Like --minutes, but limits the number of operations.", allows=ALLOWED
    )
    chat: bool = of_training("chat", panel="Budget", short=False, requires="minutes budget")
    me: str | None = of_training("me", panel="Budget", requires="chat")
    separator: str | None = of_training(
        "separator", panel="Budget", requires="minutes budget", excludes="chat column text=stream"
    )
    text: TextKind | None = of_training("text", panel="Budget", requires="minutes budget")
    stop_after_minutes: float | None = search(None, "Start no new generation after this time.")
    space: Path | None = search(
        None,
        "TOML file with the values of each gene, mutation rates, the first generation and a target "
        "that ends the search.",
    )
    workers: int | None = parallel(
        None,
        "Number of parallel training runs; does not change the result.  "
        "[default: one per available CPU]",
        short=True,
    )
    scheduler: str | None = parallel(
        None, "Address of a Dask scheduler, such as tcp://host:8786.", excludes="workers"
    )
    resume: Path | None = output(None, f"Directory of the search to resume, in {RUNS}.", short=True)
    train_winner: Path | None = output(
        None, "Train a model with the best genome and save it in this directory.", short=True
    )
    force: bool = output(
        False,
        f"Replace an existing model in --train-winner, and {DEFAULT_GENOME} even if its score is "
        "better.",
    )
    trace: bool = output(False, "Print a line per organism to standard error.")

    @property
    def limits(self) -> TrainOptions:
        """The options that limit the training runs of a search with a budget."""
        return TrainOptions.of(self.only(*LIMITS).values())

    def check_ranges(self) -> None:
        """Raise ConfigError if an option is out of range, before any data are read."""
        check_seed(self.seed)
        for name in ("population", "generations", "samples"):
            if (count := getattr(self, name)) is not None:
                check_count(name, count)
        if (minutes := self.stop_after_minutes) is not None:
            check_number("--stop-after-minutes", minutes, POSITIVE, lambda x: x > 0)
        self.limits.check_ranges()


@dataclass(frozen=True)
class SweepOptions(Options):
    """Options that a user can set for a sweep, besides the settings that it varies."""

    input: Path | None = of_training("input")
    chat: bool = of_training("chat", excludes="column")
    column: str | None = of_training("column")
    me: str | None = of_training("me", requires="chat")
    separator: str | None = of_training("separator", excludes="chat column")
    seeds: int = setting(
        N_SEEDS,
        "Number of training runs per configuration; more runs narrow the confidence intervals.",
        panel="Repeats",
        short=True,
    )
    seed: int = of_training(
        "seed",
        panel="Repeats",
        help="Seed of the first run; incremented by 1 for each further run.",
        short=True,
    )
    workers: int | None = borrowed(EvolveOptions, "workers")
    scheduler: str | None = borrowed(EvolveOptions, "scheduler", excludes="workers")

    def check_ranges(self) -> None:
        """Raise ConfigError if an option is out of range, before any data are read."""
        self.check()
        check_count("seeds", self.seeds)
        if self.seeds > MAX_SEEDS:
            raise ConfigError(f"seeds must be at most {MAX_SEEDS}, got {self.seeds}")
        check_seed(self.seed)
        check_seed(self.seed + self.seeds - 1)


@dataclass(frozen=True)
class StepsOptions(Options):
    """The option of `sweep steps`."""

    set_: Literal["fibonacci", "tripling"] = setting(
        "fibonacci",
        "Step counts. fibonacci: 1,000, 2,000, 3,000, 5,000, 8,000, 13,000, 21,000. "
        "tripling: 1,000, 3,000, 9,000.",
        "--set",
        panel="Data",
        short=True,
    )


def _axis(name: str) -> tuple[str, object, object]:
    """Return the option of `sweep grid` that varies a setting; its help lists the choices."""
    kind = get_type_hints(TrainOptions)[name]
    literals = [each for each in (kind, *get_args(kind)) if get_origin(each) is Literal]
    choices = ("false", "true") if kind is bool else get_args(literals[0]) if literals else ()
    help = TrainOptions.setting(name).help.partition("  [")[0]
    if choices:
        help = f"{help.rstrip('.')} ({', '.join(choices)})."
    facts = {"panel": "Grid (comma-separated values)", "metavar": "<list>"}
    axis = of_training(name, default=None, help=help, short=name in SHORT_AXES, **facts)
    return name, str | None, axis


@dataclass(frozen=True)
class BaseOptions(Options):
    """The options of `sweep grid` for the settings that it does not vary."""

    minutes: float | None = setting(
        None,
        "Choose the settings as `train --minutes` does; each training run takes about this long.",
        panel="Other settings",
        short=True,
        excludes="budget",
    )
    budget: float | None = setting(
        None, "Like --minutes, but limits the number of operations.", panel="Other settings"
    )
    preset: Literal["karpathy"] | None = setting(
        None,
        "Use Karpathy's settings with a learning rate of 0.005; the default for his names.",
        panel="Other settings",
        excludes="minutes budget",
    )

    @property
    def limits(self) -> TrainOptions:
        """The budget of each training run."""
        return TrainOptions.of(self.only("minutes", "budget").values())


# The settings that `sweep grid` can vary, each with a list of values.
GridOptions = make_dataclass("GridOptions", map(_axis, SETTINGS), bases=(Options,), frozen=True)
