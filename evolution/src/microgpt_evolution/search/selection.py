"""Finalists, measured again with fresh seeds, and the rules that choose the winner among them.

The best of many measurements is partly luck, so the means over several seeds decide.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

from microgpt_evolution import confidence_interval
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.hydra_heads import HeadName
from microgpt_evolution.objectives.trial import N_REPEATS
from microgpt_evolution.population import Evaluation, Organism, rank
from microgpt_evolution.seeds import training_seed

N_FINALISTS = 3
N_FRESH = 2  # seeds that the winner is tested with, besides that of the run


@dataclass(frozen=True)
class Candidate:
    """An organism and its evaluations, one per seed; the first is the search's own."""

    organism: Organism  # as the search found it
    evaluations: tuple[Evaluation, ...]

    def values(self, measure: str | None) -> list[float]:
        """Return a score, a key of `Scores.scores`, with each seed; the fitness for None."""
        if measure is None:
            return [evaluation.fitness for evaluation in self.evaluations]
        return [e.vote.scores[measure] for e in self.evaluations if e.vote]

    def mean(self, measure: str | None) -> float:
        """Return the mean of a score, or of the fitness."""
        return fmean(self.values(measure))

    def describe(self, measure: str | None) -> str:
        """Return the mean of a score, or of the fitness, with its interval."""
        return confidence_interval.describe(self.values(measure))


@dataclass(frozen=True)
class Winner:
    """The winner of a run."""

    organism: Organism  # as the search found it
    measure: str | None = None  # a key of `Scores.scores`; None where a loss was minimised
    head: HeadName | None = None  # whose champion it is, if one head was asked for

    @property
    def found(self) -> Evaluation:
        """What the search measured of it."""
        assert self.organism.evaluation
        return self.organism.evaluation

    def fresh_seeds(self, run_seed: int) -> list[int]:
        """Return seeds that had no say: the run's, which trained nobody, and two new ones."""
        organism, first = self.organism, N_REPEATS + 1
        repeats = range(first, first + N_FRESH)
        place = run_seed, organism.generation, organism.slot
        return [run_seed, *(training_seed(*place, repeat) for repeat in repeats)]


def best_organisms(generations: Sequence[Sequence[Organism]]) -> list[Organism]:
    """Return the best organisms of a run, no two of the same genome."""
    best: dict[Genome, Organism] = {}
    for organism in rank([o for ranked in generations for o in ranked if o.has_finished]):
        best.setdefault(organism.genome, organism)
    return list(best.values())[:N_FINALISTS]


def best_for(measure: str, candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the best mean score; of equals the first."""
    return max(candidates, key=lambda candidate: candidate.mean(measure))


def best_for_all(heads: Collection[HeadName], candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the smallest sum of its places, one for each head.

    Its place is 1 and the number of candidates that are better, so scores of heads need not be
    comparable. Of equals the first is taken.
    """

    def places(candidate: Candidate) -> int:
        return sum(
            sum(other.mean(head) > candidate.mean(head) for other in candidates) for head in heads
        )

    return min(candidates, key=places)
