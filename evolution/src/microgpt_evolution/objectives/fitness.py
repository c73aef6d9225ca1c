"""The two measures that a search can go by, and the thresholds that belong to each.

held-out: the loss of documents that the training has not seen. last-doc: the loss of the last
document that it was trained on, as in evolve-rust: cheap, and mostly luck.
"""

from collections.abc import Sequence
from typing import Literal

Fitness = Literal["held-out", "last-doc"]

LAST_DOC_TARGET = 1.2  # evolve-rust's
HELD_OUT_GAIN = 0.20  # nats per token; a 6-gram of the names has 2.01, so 1.2 is out of reach
LAST_DOC_LOSER = 2.3  # evolve-rust's


def target(fitness: Fitness, primordial: float | None = None) -> float:
    """Return the fitness that a search is to get below.

    Args:
        primordial: the held-out loss of the genome that nature starts from; last-doc needs none.
    """
    if fitness == "last-doc":
        return LAST_DOC_TARGET
    assert primordial is not None, "a held-out target is a gain on the primordial genome"
    return primordial - HELD_OUT_GAIN


def loser_threshold(fitness: Fitness, values: Sequence[float]) -> float:
    """Return the fitness above which an evaluation counts against its species.

    For held-out losses it is the largest outside the worst quartile, so among equals there are no
    losers, nor among three.

    Args:
        values: those of all evaluations so far, at least one; each is a finite number.
    """
    if fitness == "last-doc":
        return LAST_DOC_LOSER
    return sorted(values)[-1 - len(values) // 4]


def describe_losers(fitness: Fitness) -> str:
    """Return in words what counts against a species."""
    return f"loss > {LAST_DOC_LOSER}" if fitness == "last-doc" else "loss in the worst quartile"
