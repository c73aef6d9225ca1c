"""Sweep configurations: the settings of `microgpt train` that affect the trained model.

A sweep uses one of the predefined sets from evolve-rust's scripts, or a grid.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from math import prod
from typing import Any

from microgpt import (
    DEFAULT_DTYPE,
    Activation,
    ConfigError,
    DType,
    ModelConfig,
    Optimizer,
    Positions,
    TrainConfig,
    check_choice,
)
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import PRIMORDIAL, BaseGenome


@dataclass(frozen=True)
class SweepConfig(BaseGenome):
    """Settings named after the options of `microgpt train`.

    The defaults are Karpathy's values, but the learning rate is that of evolve-rust.

    Raises:
        GenomeError: a setting is out of range, or n_embd is not divisible by n_head.
    """

    n_embd: int = ModelConfig.n_embd
    n_head: int = ModelConfig.n_head
    n_layer: int = ModelConfig.n_layer
    block_size: int = ModelConfig.block_size
    n_ff_exp: int = ModelConfig.n_ff_exp
    steps: int = TrainConfig.steps
    lr: float = PRIMORDIAL.lr  # the same for all widths, so that a sweep varies only one setting
    batch_size: int = TrainConfig.batch_size
    dtype: DType = DEFAULT_DTYPE["compiled"]
    dropout: float = TrainConfig.dropout
    weight_decay: float = TrainConfig.weight_decay
    average_tail: float = TrainConfig.average_tail
    optimizer: Optimizer = TrainConfig.optimizer
    warmup_steps: int = TrainConfig.warmup_steps
    positions: Positions = ModelConfig.positions
    activation: Activation = ModelConfig.activation
    token_shift: bool = ModelConfig.token_shift
    qk_norm: bool = ModelConfig.qk_norm
    final_norm: bool = ModelConfig.final_norm
    out_scale: float = ModelConfig.out_scale

    def _check_together(self) -> None:
        self.model()
        self.train_config(seed=0)
        check_choice("dtype", self.dtype, DType)

    def train_config(self, seed: int) -> TrainConfig:
        """Return the training hyper-parameters."""
        return TrainConfig(**self.settings_of(TrainConfig), seed=seed)

    def describe(self, names: Iterable[str]) -> str:
        """Format the given settings, for example "n_layer 1, steps 3,000"."""
        return ", ".join(f"{name} {show(getattr(self, name))}" for name in names)


SETTINGS = tuple(field.name for field in fields(SweepConfig))


def show(setting: float | str) -> str:
    """Format a setting, with thousands separators in integers."""
    is_count = isinstance(setting, int) and not isinstance(setting, bool)
    return f"{setting:,}" if is_count else str(setting)


def differing(configs: Iterable[SweepConfig]) -> list[str]:
    """Return the names of the settings that differ between configurations."""
    distinct = set(configs)
    return [name for name in SETTINGS if len({getattr(config, name) for config in distinct}) > 1]


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


def grid(
    axes: Mapping[str, Sequence[Any]], base: SweepConfig | None = None
) -> tuple[list[SweepConfig], list[str]]:
    """Return the valid combinations and the error messages of the invalid ones, without duplicates.

    The last axis varies fastest.

    Args:
        axes: values to combine, by setting name.
        base: the other settings (default: those of `SweepConfig`).

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
    base = base or SweepConfig()
    for choice in choices:  # a misspelt choice is not a combination to skip
        replace(base, **choice)
    configs: dict[SweepConfig, None] = {}
    impossible: dict[str, None] = {}
    for values in product(*axes.values()):
        try:
            configs[replace(base, **dict(zip(axes, values, strict=True)))] = None
        except GenomeError as error:
            impossible[str(error)] = None
    if not configs:
        raise ConfigError(f"no combination of the grid is valid: {next(iter(impossible))}")
    return list(configs), list(impossible)
