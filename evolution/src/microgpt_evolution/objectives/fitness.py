"""Names of objectives and losses, a search's target loss, and the loss that counts as a failure.

"held-out" is the loss on documents that are not used for training. "last-doc" is the loss on the
last training document, as in evolve-rust; it is cheap to measure, but mostly noise.
"""

from collections.abc import Sequence
from typing import Literal

ObjectiveName = Literal["loss", "aesthetic", "hydra"]
Fitness = Literal["held-out", "last-doc"]

LAST_DOC_TARGET = 1.2  # target of the last-document loss, as in evolve-rust
# Required gain over the primordial genome in nats per token, as held-out losses cannot reach 1.2.
HELD_OUT_GAIN = 0.20
LAST_DOC_LOSER = 2.3  # a higher last-document loss is a failure, as in evolve-rust


def target(fitness: Fitness, primordial: float | None = None) -> float:
    """Return the target loss; for "held-out", it is primordial - HELD_OUT_GAIN."""
    if fitness == "last-doc":
        return LAST_DOC_TARGET
    assert primordial is not None, "the target depends on the primordial genome"
    return primordial - HELD_OUT_GAIN


def loser_threshold(fitness: Fitness, values: Sequence[float]) -> float:
    """Return the fitness above which an evaluation counts as a failure of its species.

    For held-out losses, the threshold is the largest value outside the worst quartile.
    """
    if fitness == "last-doc":
        return LAST_DOC_LOSER
    return sorted(values)[-1 - len(values) // 4]
