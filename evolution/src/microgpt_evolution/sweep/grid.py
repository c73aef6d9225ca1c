"""Configurations of a sweep: the predefined sets of evolve-rust's scripts, or a grid."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from microgpt.errors import ConfigError
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.sweep.config import SweepConfig

STEPS = {  # tests B and A of evolve-rust's run_scaling_tests.sh
    "fibonacci": (1000, 2000, 3000, 5000, 8000, 13_000, 21_000),
    "tripling": (1000, 3000, 9000),
}
SIZES = {  # the three models of evolve-rust's run_param_scaling.sh
    "small": SweepConfig(n_embd=16, n_head=4, n_layer=1, steps=5000),
    "medium": SweepConfig(n_embd=32, n_head=4, n_layer=2, steps=5000),
    "large": SweepConfig(n_embd=64, n_head=8, n_layer=4, steps=5000),
}
MAX_COMBINATIONS = 10_000  # all are created before training; the limit catches typos


def grid(axes: Mapping[str, Sequence[Any]]) -> tuple[list[SweepConfig], list[str]]:
    """Return the valid combinations and the error messages of the invalid ones, without duplicates.

    The last axis varies fastest.

    Args:
        axes: values to combine, by setting name.

    Raises:
        ConfigError: no combination is valid, or there are too many.
        GenomeError: a choice is unknown.
    """
    n = prod(map(len, axes.values()))
    if n > MAX_COMBINATIONS:
        raise ConfigError(
            f"a grid has at most {MAX_COMBINATIONS:,} combinations, got {n:,}; use fewer values"
        )
    choices: list[dict[str, Any]] = [
        {name: value} for name, values in axes.items() for value in values if type(value) is str
    ]
    for choice in choices:  # a misspelt choice is not a combination to skip
        SweepConfig(**choice)
    configs: dict[SweepConfig, None] = {}
    impossible: dict[str, None] = {}
    for values in product(*axes.values()):
        try:
            configs[SweepConfig(**dict(zip(axes, values, strict=True)))] = None
        except GenomeError as error:
            impossible[str(error)] = None
    if not configs:
        raise ConfigError(f"no combination of the grid is valid: {next(iter(impossible))}")
    return list(configs), list(impossible)
