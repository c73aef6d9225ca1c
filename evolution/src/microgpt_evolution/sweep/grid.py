"""The points of a sweep: the named sets of evolve-rust's scripts, or any grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Literal

from microgpt.errors import ConfigError
from microgpt_evolution.sweep.config import SweepConfig

StepsSet = Literal["fibonacci", "tripling"]

STEPS: dict[StepsSet, Sequence[int]] = {  # tests B and A of evolve-rust's run_scaling_tests.sh
    "fibonacci": (1000, 2000, 3000, 5000, 8000, 13_000, 21_000),
    "tripling": (1000, 3000, 9000),
}
SIZES = {  # the three models of evolve-rust's run_param_scaling.sh
    "small": SweepConfig(n_embd=16, n_head=4, n_layer=1, steps=5000),
    "medium": SweepConfig(n_embd=32, n_head=4, n_layer=2, steps=5000),
    "large": SweepConfig(n_embd=64, n_head=8, n_layer=4, steps=5000),
}
MAX_COMBINATIONS = 10_000  # a slip multiplies, and these are all made before the first is trained


@dataclass(frozen=True)
class Grid:
    """All combinations of some settings.

    Attributes:
        points: those that are possible.
        impossible: a line on each of the others.
    """

    points: tuple[SweepConfig, ...]
    impossible: tuple[str, ...]


def steps_points(set_: StepsSet) -> tuple[SweepConfig, ...]:
    """Return Karpathy's model with each number of steps."""
    return tuple(SweepConfig(steps=steps) for steps in STEPS[set_])


def grid(axes: Mapping[str, Sequence[Any]]) -> Grid:
    """Return every combination; the last axis varies fastest, and what comes twice counts once.

    Args:
        axes: the values of settings, by name; the others are as in `train`.

    Raises:
        ConfigError: none is possible, or there are too many.
    """
    n = prod(map(len, axes.values()))
    if n > MAX_COMBINATIONS:
        raise ConfigError(f"a grid has at most {MAX_COMBINATIONS:,} combinations, got {n:,}")
    points: dict[SweepConfig, None] = {}
    impossible: dict[str, None] = {}
    for values in product(*axes.values()):
        try:
            points[SweepConfig(**dict(zip(axes, values, strict=True)))] = None
        except ConfigError as error:
            impossible[str(error)] = None
    if not points:
        raise ConfigError(f"no point of the grid is possible: {next(iter(impossible))}")
    return Grid(tuple(points), tuple(impossible))
