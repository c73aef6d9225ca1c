"""The order in which a training run reads its documents."""

import random
from collections.abc import Collection, Sequence
from dataclasses import replace

from microgpt.config import EngineName, TrainConfig


def reading_order(
    n: int,
    config: TrainConfig,
    rng: random.Random,
    engine: EngineName,
    skipped: Collection[int] = (),
) -> Sequence[int]:
    """Return the indices of n documents in training order, up to the last that is read.

    If `config.shuffle` is set, they are shuffled as by `rng.shuffle`. Skipped documents are
    shuffled as well, so the order of the others does not depend on them.
    """
    n_read = min(n - len(skipped), config.steps * config.batch_size)
    if skipped:
        order = reading_order(n, replace(config, steps=n), rng, engine)
        return [i for i in order if i not in skipped][:n_read]
    if not config.shuffle:
        return range(n_read)
    if engine != "reference":
        from microgpt.engine import mersenne

        return mersenne.shuffled(n, rng, n_read)
    order = list(range(n))
    rng.shuffle(order)
    return order[:n_read]
