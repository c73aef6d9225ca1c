"""The order in which a training run reads its documents."""

import random
from collections.abc import Sequence

from microgpt.config import EngineName, TrainConfig
from microgpt.training.engines import engine_module


def reading_order(
    n: int, config: TrainConfig, rng: random.Random, engine: EngineName
) -> Sequence[int]:
    """Return the indices of n documents in training order, up to the last that is read.

    If `config.shuffle` is set, they are shuffled as by `rng.shuffle`.
    """
    n_read = min(n, config.steps * config.batch_size)
    if not config.shuffle:
        return range(n_read)
    return engine_module(engine).shuffled(n, rng, n_read)
