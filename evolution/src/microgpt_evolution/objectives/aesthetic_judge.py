"""The aesthetic judge and the three heads of the Hydra, which score generated names.

The formulas come from `judge.py`, `evolve` and `hydra` in evolve-rust.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Literal

from microgpt import Document

HeadName = Literal["weaver", "mirror", "spark"]  # heads of the Hydra

JUDGE = "judge"  # the score that the aesthetic search maximizes
MIN_LENGTH = 3  # shorter names are not scored
VOWELS = frozenset("aeiouy")
SOFT_ENDINGS = ("a", "n", "y")
LONGEST_RUN = 2  # longest run of vowels or consonants that is easy to pronounce
NO_NAME = -100.0  # score of a batch in which no name can be scored


@dataclass(frozen=True)
class Verdict:
    """The scores of one name."""

    flow: float  # 0.5 for 4 to 8 letters, minus 1 for each letter that is hard to pronounce
    symmetry: float  # 2.0 for a palindrome + 1.5 for a repeated half + 0.2 for a soft ending
    creativity: float  # 1.0, or -5.0 if the name is in the list of known names

    @property
    def total(self) -> float:
        """The sum of the three scores, weighted by WEIGHTS; the maximum is 6.94."""
        flow, beauty = WEIGHTS.flow * self.flow, WEIGHTS.symmetry * self.symmetry
        return flow + beauty + WEIGHTS.creativity * self.creativity


WEIGHTS = Verdict(flow=1.0, symmetry=1.2, creativity=2.0)


def known_names(docs: Iterable[Document]) -> frozenset[str]:
    """Return the names in documents, normalized for `judge`; conversations are skipped."""
    return frozenset(normal(doc) for doc in docs if isinstance(doc, str))


def judge(name: str, known_names: Set[str]) -> Verdict | None:
    """Return the scores of a name, or None if the name is too short or contains non-letters.

    >>> judge("Mama", known_names(["anna"]))
    Verdict(flow=0.5, symmetry=1.7, creativity=1.0)
    """
    name = normal(name)
    if len(name) < MIN_LENGTH or not name.isalpha():
        return None
    is_palindrome = len(name) > 3 and name == name[::-1]
    ends_softly = name.endswith(SOFT_ENDINGS)
    return Verdict(
        flow=(0.5 if 4 <= len(name) <= 8 else 0.0) - n_stumbles(name),
        symmetry=2.0 * is_palindrome + 1.5 * is_doubled(name) + 0.2 * ends_softly,
        creativity=-5.0 if name in known_names else 1.0,
    )


def normal(name: str) -> str:
    """Normalize a name: strip surrounding white space, and convert it to lower case."""
    return name.strip().lower()


def n_stumbles(name: str) -> int:
    """Count the letters that extend a run of vowels or consonants beyond LONGEST_RUN."""
    runs = groupby(name, key=VOWELS.__contains__)
    return sum(max(0, len([*letters]) - LONGEST_RUN) for _, letters in runs)


def is_doubled(name: str) -> bool:
    """Return whether a name has at least four letters, and its second half repeats its first half.

    If the number of letters is odd, the last letter is ignored: "lelel" is doubled.
    """
    half = len(name) // 2
    return len(name) >= 4 and name[:half] == name[half : 2 * half]


@dataclass(frozen=True)
class Head:
    """A head of the Hydra: a formula that scores names, and its title and quality for display."""

    title: str
    quality: str  # name of the quality that the head rewards
    formula: Callable[[str, Set[str]], float | None]  # takes a normalized name and the known names

    def score(self, name: str, known_names: Set[str]) -> float | None:
        """Return the score of a name, or None if the name cannot be scored."""
        name = normal(name)
        return self.formula(name, known_names) if len(name) >= MIN_LENGTH else None


def _flow(name: str, known_names: Set[str]) -> float | None:
    if not name.isalpha():
        return None
    return (1.0 if 4 <= len(name) <= 8 else 0.0) - n_stumbles(name)


def _symmetry(name: str, known_names: Set[str]) -> float:
    ends_softly = name.endswith(SOFT_ENDINGS)
    return 3.0 * (name == name[::-1]) + 2.0 * is_doubled(name) + 0.5 * ends_softly


def _novelty(name: str, known_names: Set[str]) -> float:
    return (-5.0 if name in known_names else 2.0) + (0.5 if len(name) > 6 else 0.0)


HEADS: Mapping[HeadName, Head] = {
    "weaver": Head("Weaver", "Flow", _flow),  # maximum score: 1
    "mirror": Head("Mirror", "Symmetry", _symmetry),  # maximum score: 5.5
    "spark": Head("Spark", "Creativity", _novelty),  # maximum score: 2.5
}


def score_names(names: Sequence[str], known_names: Set[str]) -> dict[str, float]:
    """Return the mean score of names by the judge and by each head; -100 if none can be scored.

    Repeated names score at most 0, so that a model cannot win by repeating one good name. Names in
    `known_names`, which must be normalized, are not novel.
    """
    repeats = find_repeats(names)

    def mean(score: Callable[[str, Set[str]], float | None]) -> float:
        counted = [
            min(0.0, value) if is_repeat else value
            for name, is_repeat in zip(names, repeats, strict=True)
            if (value := score(name, known_names)) is not None
        ]
        return fmean(counted) if counted else NO_NAME

    def total(name: str, known_names: Set[str]) -> float | None:
        verdict = judge(name, known_names)
        return verdict.total if verdict else None

    return {JUDGE: mean(total)} | {name: mean(head.score) for name, head in HEADS.items()}


def first_names(samples: Sequence[str], n: int = 5) -> str:
    """Format the first few names that a model generated; an empty name is shown as ''."""
    return ", ".join(name or "''" for name in samples[:n])


def find_repeats(names: Sequence[str]) -> list[bool]:
    """Return for each name whether it repeats an earlier one, ignoring case."""
    seen = [*map(normal, names)]
    first = {name: len(seen) - i for i, name in enumerate(reversed(seen), start=1)}
    return [first[name] < i for i, name in enumerate(seen)]
