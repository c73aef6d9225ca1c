"""The heads of the Hydra and their scores of a name.

The formulas are those of `hydra` in evolve-rust; they differ from the judge's.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from microgpt_evolution.objectives.name_features import (
    MIN_LENGTH,
    ends_softly,
    is_doubled,
    is_palindrome,
    is_word,
    n_stumbles,
    normal,
)

HeadName = Literal["weaver", "mirror", "spark", "origin"]

LEAST_LOSS = 1e-4  # lower losses score the same

# Returns the score of a name, given the known ones; None for a name that is not scored.
Score = Callable[[str, Set[str]], float | None]


@dataclass(frozen=True)
class Head:
    """A head of the Hydra."""

    title: str
    quality: str  # what it rewards
    score: Score | None  # None for Origin, which scores the loss


def weave(name: str, known: Set[str]) -> float | None:
    """Return how easy a word is to say: 1 at most."""
    name = normal(name)
    if not is_word(name):
        return None
    return (1.0 if 4 <= len(name) <= 8 else 0.0) - n_stumbles(name)


def mirror(name: str, known: Set[str]) -> float | None:
    """Return how much of a name comes twice, whatever its characters: 5.5 at most."""
    name = normal(name)
    if len(name) < MIN_LENGTH:
        return None
    return 3.0 * is_palindrome(name) + 2.0 * is_doubled(name) + 0.5 * ends_softly(name)


def spark(name: str, known: Set[str]) -> float | None:
    """Return how new a name is, whatever its characters: 2.5 at most."""
    name = normal(name)
    if len(name) < MIN_LENGTH:
        return None
    return (-5.0 if name in known else 2.0) + (0.5 if len(name) > 6 else 0.0)


def origin(loss: float) -> float:
    """Return the score of a finite loss."""
    return 1 / max(loss, LEAST_LOSS)


HEADS: Mapping[HeadName, Head] = {
    "weaver": Head("Weaver", "Flow", weave),
    "mirror": Head("Mirror", "Symmetry", mirror),
    "spark": Head("Spark", "Creativity", spark),
    "origin": Head("Origin", "Loss", None),
}
