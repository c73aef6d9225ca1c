"""The aesthetic judge, which scores individual names.

The formulas come from `judge.py` and `evolve` in evolve-rust.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass

from microgpt.data.tokenizer import Document
from microgpt_evolution.objectives.name_features import (
    ends_softly,
    is_doubled,
    is_palindrome,
    is_word,
    n_stumbles,
    normal,
)


@dataclass(frozen=True)
class Verdict:
    """The scores of one name."""

    flow: float  # pronounceability
    symmetry: float  # palindromes, repetition and soft endings
    creativity: float  # novelty

    @property
    def total(self) -> float:
        """The weighted sum of the three scores; the maximum is 6.94."""
        return (
            WEIGHTS.flow * self.flow
            + WEIGHTS.symmetry * self.symmetry
            + WEIGHTS.creativity * self.creativity
        )


WEIGHTS = Verdict(flow=1.0, symmetry=1.2, creativity=2.0)


def known_names(docs: Iterable[Document]) -> frozenset[str]:
    """Return the names in the documents, normalised for `judge`; conversations are skipped."""
    return frozenset(normal(doc) for doc in docs if isinstance(doc, str))


def judge(name: str, known: Set[str]) -> Verdict | None:
    """Return the scores of a name, or None if the name is too short or contains non-letters.

    >>> judge("Mama", known_names(["anna"]))
    Verdict(flow=0.5, symmetry=1.7, creativity=1.0)
    """
    name = normal(name)
    if not is_word(name):
        return None
    return Verdict(_flow(name), _symmetry(name), -5.0 if name in known else 1.0)


def _flow(name: str) -> float:
    return (0.5 if 4 <= len(name) <= 8 else 0.0) - n_stumbles(name)


def _symmetry(name: str) -> float:
    is_long_palindrome = len(name) > 3 and is_palindrome(name)
    return 2.0 * is_long_palindrome + 1.5 * is_doubled(name) + 0.2 * ends_softly(name)
