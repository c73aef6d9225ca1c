"""The aesthetic judge, which scores individual names, and the features of names that it uses.

The formulas come from `judge.py` and `evolve` in evolve-rust.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass

from microgpt import Document

MIN_LENGTH = 3  # shorter names are not scored
VOWELS = frozenset("aeiouy")
SOFT_ENDINGS = ("a", "n", "y")
LONGEST_RUN = 2  # longest run of vowels or consonants that is easy to pronounce


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
    is_long_palindrome = len(name) > 3 and is_palindrome(name)
    return Verdict(
        flow=(0.5 if 4 <= len(name) <= 8 else 0.0) - n_stumbles(name),
        symmetry=2.0 * is_long_palindrome + 1.5 * is_doubled(name) + 0.2 * ends_softly(name),
        creativity=-5.0 if name in known else 1.0,
    )


def normal(name: str) -> str:
    """Normalise a name: strip whitespace and convert to lower case."""
    return name.strip().lower()


def is_word(name: str) -> bool:
    """Return whether a normalised name is long enough and contains only letters."""
    return len(name) >= MIN_LENGTH and name.isalpha()


def n_stumbles(name: str) -> int:
    """Count the letters that extend a run of vowels or consonants beyond LONGEST_RUN.

    >>> n_stumbles("abcd"), n_stumbles("abcdf")
    (1, 2)
    """
    stumbles = run = 0
    was_vowel = False
    for letter in name:
        is_vowel = letter in VOWELS
        run = run + 1 if is_vowel == was_vowel else 1
        was_vowel = is_vowel
        stumbles += run > LONGEST_RUN
    return stumbles


def is_palindrome(name: str) -> bool:
    """Return whether a name is a palindrome."""
    return name == name[::-1]


def is_doubled(name: str) -> bool:
    """Return whether a name has at least four letters and repeats its first half.

    If the number of letters is odd, the last letter is ignored, so "lelel" also counts as doubled.
    """
    half = len(name) // 2
    return len(name) >= 4 and name[:half] == name[half : 2 * half]


def ends_softly(name: str) -> bool:
    """Return whether a name ends in one of SOFT_ENDINGS."""
    return name.endswith(SOFT_ENDINGS)
