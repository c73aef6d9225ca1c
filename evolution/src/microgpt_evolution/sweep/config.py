"""A sweep configuration: the settings of `microgpt train` that affect the trained model."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from microgpt.config import DEFAULT_DTYPE, DType, ModelConfig, Optimizer, TrainConfig
from microgpt.model_config import Activation, Positions
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
        from microgpt.training.engines import check_engine  # slow to import

        self.model()
        self.train_config(seed=0)
        check_engine("compiled", self.dtype)

    def train_config(self, seed: int) -> TrainConfig:
        """Return the training hyper-parameters."""
        return TrainConfig(**self.settings_of(TrainConfig), seed=seed)

    def describe(self, names: Iterable[str]) -> str:
        """Format the named settings, for example "n_layer 1, steps 3,000"."""
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
