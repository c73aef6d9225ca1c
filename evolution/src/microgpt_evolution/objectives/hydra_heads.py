"""The heads of the Hydra and their scores of a name.

The formulas are those of `hydra` in evolve-rust. They differ from the judge's, also in which names
they score.
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

LEAST_LOSS = 1e-4  # below which Origin makes no difference

# Returns the score of a name, given the known ones; None for a name that is not scored.
Score = Callable[[str, Set[str]], float | None]


@dataclass(frozen=True)
class Head:
    """A head of the Hydra."""

    title: str
    quality: str  # what it rewards
    score: Score | None  # None for Origin, which goes by the loss


def weave(name: str, known: Set[str]) -> float | None:
    """Return how easily a word is said: 1 at most."""
    name = normal(name)
    if not is_word(name):
        return None
    return (1.0 if 4 <= len(name) <= 8 else 0.0) - n_stumbles(name)


def mirror(name: str, known: Set[str]) -> float | None:
    """Return how much of a name comes twice, whatever its characters: 5.5 at most."""
    name = normal(name)
    if len(name) < MIN_LENGTH:
        return None
    score = 0.0
    if is_palindrome(name):  # of three letters, too
        score += 3.0
    if is_doubled(name):
        score += 2.0
    if ends_softly(name):
        score += 0.5
    return score


def spark(name: str, known: Set[str]) -> float | None:
    """Return how new a name is, whatever its characters: 2.5 at most."""
    name = normal(name)
    if len(name) < MIN_LENGTH:
        return None
    return (-5.0 if name in known else 2.0) + (0.5 if len(name) > 6 else 0.0)


def origin(loss: float) -> float:
    """Return what Origin gives a model with this loss, which is a finite number."""
    return 1 / max(loss, LEAST_LOSS)


HEADS: Mapping[HeadName, Head] = {
    "weaver": Head("Weaver", "Flow", weave),
    "mirror": Head("Mirror", "Symmetry", mirror),
    "spark": Head("Spark", "Creativity", spark),
    "origin": Head("Origin", "Loss", None),
}
