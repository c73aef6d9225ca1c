"""Score names: the heads of the Hydra, and batches of names.

The formulas of the heads come from evolve-rust's `hydra` and differ from the judge's formulas.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from statistics import fmean

from microgpt_evolution.objectives.fitness import HeadName
from microgpt_evolution.objectives.judge import (
    MIN_LENGTH,
    ends_softly,
    is_doubled,
    is_palindrome,
    is_word,
    judge,
    n_stumbles,
    normal,
)

NO_NAME = -100.0  # score of a batch in which no name can be scored
EVOLVE_RUST_SAMPLES = 5  # names per organism in evolve-rust, which does not penalize repeats

# Maps a name and the known names to a score, or to None if the name cannot be scored.
Score = Callable[[str, Set[str]], float | None]


@dataclass(frozen=True)
class Head:
    """A head of the Hydra with its scoring function."""

    title: str
    quality: str  # name of the quality that the head rewards
    score: Score


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


HEADS: Mapping[HeadName, Head] = {
    "weaver": Head("Weaver", "Flow", weave),
    "mirror": Head("Mirror", "Symmetry", mirror),
    "spark": Head("Spark", "Creativity", spark),
}


@dataclass(frozen=True, slots=True)
class NameScores:
    """The scores of a batch of names."""

    scores: dict[str, float]  # mean scores, by "judge" and head name; -100 if no name can be scored
    distinct: float  # fraction of names that do not repeat an earlier name
    novel: float  # fraction of names that are neither repeated nor known


def score_names(
    names: Sequence[str], known: Set[str], *, repeats_count: bool = False
) -> NameScores:
    """Return the scores of a batch of names.

    Args:
        known: names that do not count as novel, from `known_names`.
        repeats_count: whether repeated names keep their score. If false, they score at most 0, so
            that a model cannot win by repeating one good name.
    """
    repeats = find_repeats(names)
    is_capped = [False] * len(names) if repeats_count else repeats
    measures: dict[str, Score] = {"judge": _total}
    measures |= {name: head.score for name, head in HEADS.items()}
    scores = {}
    for measure, score in measures.items():
        found = [score(name, known) for name in names]
        counted = [
            min(0.0, value) if capped else value
            for value, capped in zip(found, is_capped, strict=True)
            if value is not None
        ]
        scores[measure] = fmean(counted) if counted else NO_NAME
    first = [normal(name) for name, is_repeat in zip(names, repeats, strict=True) if not is_repeat]
    n = len(names) or 1
    return NameScores(scores, len(first) / n, sum(name not in known for name in first) / n)


def first_names(samples: Sequence[str], n: int = 5) -> str:
    """Format the first few names that a model generated; an empty name is shown as ''."""
    return ", ".join(name or "''" for name in samples[:n])


def find_repeats(names: Iterable[str]) -> list[bool]:
    """Return whether each name repeats an earlier name."""
    seen: set[str] = set()
    repeats = []
    for name in map(normal, names):
        repeats.append(name in seen)
        seen.add(name)
    return repeats


def _total(name: str, known: Set[str]) -> float | None:
    verdict = judge(name, known)
    return verdict.total if verdict else None
