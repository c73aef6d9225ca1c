"""What the kernels of a training step need of `TrainConfig`."""

from typing import NamedTuple

import numpy as np

from microgpt.config import TrainConfig


class StepSettings(NamedTuple):
    """Those of dropout and optimizer; see `TrainConfig`."""

    dropout: float
    seed: int
    beta1: float
    beta2: float
    eps: float
    weight_decay: float


def settings_of(config: TrainConfig, dtype: str) -> StepSettings:
    """Return those of a training, each as the type that the kernels are compiled for."""
    return StepSettings(
        dropout=float(config.dropout),
        seed=int(config.seed),
        beta1=float(config.beta1),
        beta2=float(config.beta2),
        # In float32 a smaller epsilon would be 0, and a weight that is never used 0 / 0.
        eps=max(float(config.adam_eps), float(np.finfo(dtype).tiny)),
        weight_decay=float(config.weight_decay),
    )
