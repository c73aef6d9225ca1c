"""Which of the best organisms of the Hydra's heads becomes the genome: a rule.

Each candidate was measured with several seeds, for the best of many scores is partly luck, and each
of its votes has the scores of all heads.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

from microgpt_evolution import confidence_interval
from microgpt_evolution.objectives.heads import HeadName
from microgpt_evolution.objectives.scores import Scores
from microgpt_evolution.population import Evaluation, Organism


@dataclass(frozen=True)
class Candidate:
    """An organism and what all of its trainings were worth.

    Attributes:
        organism: as the search found it.
        votes: one for each seed; the first is the search's own.
    """

    organism: Organism
    votes: tuple[Scores, ...]

    @classmethod
    def of(cls, organism: Organism, more: Sequence[Evaluation]) -> "Candidate":
        """Return an organism that has finished, with what it gave with other seeds."""
        evaluations = [organism.evaluation, *more]
        return cls(organism, tuple(e.vote for e in evaluations if e and e.vote))

    def mean(self, measure: str) -> float:
        """Return the mean of a score, a key of `Scores.scores`."""
        return fmean(vote.scores[measure] for vote in self.votes)

    def worth(self, measure: str) -> str:
        """Return the mean of a score and its interval, in words."""
        return confidence_interval.describe([vote.scores[measure] for vote in self.votes])


def best_for(measure: str, candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the best mean; of equals the first."""
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
