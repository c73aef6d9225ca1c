"""A point of a sweep: the settings of `train` that make a difference to what is learnt."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from microgpt.config import DType, ModelConfig, TrainConfig
from microgpt.training.engines import DEFAULT_DTYPE, check_engine


@dataclass(frozen=True)
class SweepConfig:
    """Settings, each of the name and the default that it has in `microgpt train`.

    Raises:
        ConfigError: a setting is outside its range, or the heads do not share n_embd evenly.
    """

    n_embd: int = ModelConfig.n_embd
    n_head: int = ModelConfig.n_head
    n_layer: int = ModelConfig.n_layer
    block_size: int = ModelConfig.block_size
    n_ff_exp: int = ModelConfig.n_ff_exp
    steps: int = TrainConfig.steps
    lr: float = TrainConfig.lr
    batch_size: int = TrainConfig.batch_size
    dtype: DType = DEFAULT_DTYPE["compiled"]
    dropout: float = TrainConfig.dropout
    weight_decay: float = TrainConfig.weight_decay
    average_tail: float = TrainConfig.average_tail

    def __post_init__(self) -> None:
        self.model(vocab_size=1)
        self.train_config(seed=0)
        check_engine("compiled", self.dtype)

    def model(self, vocab_size: int) -> ModelConfig:
        """Return the shape of the model."""
        return ModelConfig(
            n_embd=self.n_embd,
            n_head=self.n_head,
            n_layer=self.n_layer,
            block_size=self.block_size,
            n_ff_exp=self.n_ff_exp,
            vocab_size=vocab_size,
        )

    def train_config(self, seed: int) -> TrainConfig:
        """Return the course of the training."""
        names = {field.name for field in fields(TrainConfig)} & {
            field.name for field in fields(self)
        }
        return TrainConfig(**{name: getattr(self, name) for name in names}, seed=seed)

    def describe(self, names: Iterable[str]) -> str:
        """Return some of the settings in words.

        Example:
            >>> Point(steps=3000).describe(["n_layer", "steps"])
            'n_layer 1, steps 3,000'
        """
        return ", ".join(f"{name} {show(getattr(self, name))}" for name in names)


SETTINGS = tuple(field.name for field in fields(SweepConfig))


def show(setting: float | str) -> str:
    """Return a setting as people read it: 21,000 steps, a learning rate of 0.005."""
    return f"{setting:,}" if isinstance(setting, int) else str(setting)


def differing(points: Iterable[SweepConfig]) -> list[str]:
    """Return the names of the settings in which points differ."""
    distinct = set(points)
    return [name for name in SETTINGS if len({getattr(point, name) for point in distinct}) > 1]
