"""Fitness measures that a search can minimise, and their thresholds.

"held-out" is the loss on documents not used for training. "last-doc" is the loss on the last
training document, as in evolve-rust; it is cheap to measure but mostly noise. "own" is the number
that a user-defined function returns.
"""

from collections.abc import Sequence
from typing import Literal

ObjectiveName = Literal["loss", "aesthetic", "hydra"]
HeadName = Literal["weaver", "mirror", "spark"]  # heads of the Hydra
LossName = Literal["held-out", "last-doc"]
Fitness = Literal[LossName, "own"]

JUDGE = "judge"  # the score that the aesthetic search maximises
LAST_DOC_TARGET = 1.2  # as in evolve-rust
# Required gain in nats per token. A loss of 1.2 is out of reach; a 6-gram model reaches 2.01.
HELD_OUT_GAIN = 0.20
LAST_DOC_LOSER = 2.3  # as in evolve-rust


def target(fitness: Fitness, primordial: float | None = None) -> float:
    """Return the target fitness; except for "last-doc", it depends on the primordial genome."""
    if fitness == "last-doc":
        return LAST_DOC_TARGET
    assert primordial is not None, "the target depends on the primordial genome"
    return primordial - HELD_OUT_GAIN if fitness == "held-out" else primordial


def loser_threshold(fitness: Fitness, values: Sequence[float]) -> float:
    """Return the fitness above which an evaluation counts as a failure of its species.

    For held-out losses, the threshold is the largest value outside the worst quartile.
    """
    if fitness == "last-doc":
        return LAST_DOC_LOSER
    return sorted(values)[-1 - len(values) // 4]
