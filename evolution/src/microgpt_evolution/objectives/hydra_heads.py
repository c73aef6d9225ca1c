"""The heads of the Hydra and their scoring functions.

The formulas come from evolve-rust's `hydra` and differ from the judge's formulas.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from microgpt_evolution.objectives.judge import (
    MIN_LENGTH,
    ends_softly,
    is_doubled,
    is_palindrome,
    is_word,
    n_stumbles,
    normal,
)

HeadName = Literal["weaver", "mirror", "spark", "origin"]

LEAST_LOSS = 1e-4  # losses are clipped to this minimum

# Maps a name and the known names to a score, or to None if the name cannot be scored.
Score = Callable[[str, Set[str]], float | None]


@dataclass(frozen=True)
class Head:
    """A head of the Hydra with its scoring function."""

    title: str
    quality: str  # name of the quality that the head rewards
    score: Score | None  # None for Origin, which scores the loss


def weave(name: str, known: Set[str]) -> float | None:
    """Return the pronounceability of a name (at most 1), or None if `is_word` is false."""
    name = normal(name)
    if not is_word(name):
        return None
    return (1.0 if 4 <= len(name) <= 8 else 0.0) - n_stumbles(name)


def mirror(name: str, known: Set[str]) -> float | None:
    """Return the symmetry and repetition score of a name (at most 5.5), or None if too short."""
    name = normal(name)
    if len(name) < MIN_LENGTH:
        return None
    return 3.0 * is_palindrome(name) + 2.0 * is_doubled(name) + 0.5 * ends_softly(name)


def spark(name: str, known: Set[str]) -> float | None:
    """Return the novelty score of a name (at most 2.5), or None if the name is too short."""
    name = normal(name)
    if len(name) < MIN_LENGTH:
        return None
    return (-5.0 if name in known else 2.0) + (0.5 if len(name) > 6 else 0.0)


def origin(loss: float) -> float:
    """Return the score of the Origin head, which is the reciprocal of a finite loss."""
    return 1 / max(loss, LEAST_LOSS)


HEADS: Mapping[HeadName, Head] = {
    "weaver": Head("Weaver", "Flow", weave),
    "mirror": Head("Mirror", "Symmetry", mirror),
    "spark": Head("Spark", "Creativity", spark),
    "origin": Head("Origin", "Loss", None),
}
