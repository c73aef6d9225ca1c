"""Score a batch of names with the judge and each head of the Hydra."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from statistics import fmean

from microgpt_evolution.objectives.hydra_heads import HEADS, Score, origin
from microgpt_evolution.objectives.judge import judge, normal

NO_NAME = -100.0  # score of a batch in which no name can be scored
EVOLVE_RUST_SAMPLES = 5  # names per organism in evolve-rust, which does not penalize repeats


@dataclass(frozen=True, slots=True)
class NameScores:
    """The scores of a batch of names."""

    scores: dict[str, float]  # mean scores, by "judge" and head name; -100 if no name can be scored
    distinct: float  # fraction of names that do not repeat an earlier name
    novel: float  # fraction of names that are neither repeated nor known


def score_names(
    names: Sequence[str],
    known: Set[str],
    *,
    loss: float | None = None,
    repeats_count: bool = False,
) -> NameScores:
    """Return the scores of a batch of names.

    Args:
        known: names that do not count as novel, from `known_names`.
        loss: held-out loss, from which the Origin head computes its score.
        repeats_count: whether repeated names keep their score. If false, they score at most 0, so
            that a model cannot win by repeating one good name.
    """
    repeats = find_repeats(names)
    is_capped = [False] * len(names) if repeats_count else repeats
    measures: dict[str, Score] = {"judge": _total}
    measures |= {name: head.score for name, head in HEADS.items() if head.score}
    scores = {}
    for measure, score in measures.items():
        found = [score(name, known) for name in names]
        counted = [
            min(0.0, value) if capped else value
            for value, capped in zip(found, is_capped, strict=True)
            if value is not None
        ]
        scores[measure] = fmean(counted) if counted else NO_NAME
    if loss is not None:
        scores["origin"] = origin(loss)
    first = [normal(name) for name, is_repeat in zip(names, repeats, strict=True) if not is_repeat]
    n = len(names) or 1
    return NameScores(scores, len(first) / n, sum(name not in known for name in first) / n)


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
