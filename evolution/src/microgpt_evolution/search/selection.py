"""Retest the finalists and select the winner.

The best of many noisy measurements is partly luck, so means over several seeds are compared.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

from microgpt_evolution import confidence_interval
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.scores import HeadName
from microgpt_evolution.population import Evaluation, Organism, Trial, training_seed
from microgpt_evolution.search.aesthetic_search import JUDGE, AestheticPopulation
from microgpt_evolution.search.breeding import Population
from microgpt_evolution.search.hydra_search import Hydra

N_REPEATS = 2  # retest runs per finalist, in addition to the run in the search
N_FRESH = 2  # fresh seeds for the winner, in addition to the seed of the run


@dataclass(frozen=True)
class Candidate:
    """A finalist with one evaluation per seed; the first evaluation comes from the search."""

    organism: Organism  # the finalist with its evaluation in the search
    evaluations: tuple[Evaluation, ...]

    def values(self, measure: str | None) -> list[float]:
        """Return the values of a score of `NameScores`, or of the fitness if measure is None."""
        if measure is None:
            return [evaluation.fitness for evaluation in self.evaluations]
        return [e.scores.scores[measure] for e in self.evaluations if e.scores]

    def mean(self, measure: str | None) -> float:
        """Return the mean of a score, or the mean fitness if measure is None."""
        return fmean(self.values(measure))

    def describe(self, measure: str | None) -> str:
        """Format the mean and interval of a score, or of the fitness if measure is None."""
        return confidence_interval.describe(self.values(measure))


@dataclass(frozen=True)
class Winner:
    """The winner of a search and the measure to report."""

    organism: Organism  # the winner with its evaluation in the search
    measure: str | None = None  # key of `NameScores.scores`; None if a loss was minimised
    head: HeadName | None = None  # head whose champion won; None if no head was requested

    @property
    def found(self) -> Evaluation:
        """The evaluation of the winner in the search."""
        assert self.organism.evaluation
        return self.organism.evaluation

    def fresh_seeds(self, run_seed: int) -> list[int]:
        """Return seeds not used for selection: the seed of the run and two new seeds."""
        repeats = range(N_REPEATS + 1, N_REPEATS + 1 + N_FRESH)
        return [run_seed, *(_seed(self.organism, run_seed, repeat) for repeat in repeats)]


def confirmation_trials(finalists: Sequence[Organism], run_seed: int) -> list[Trial[Genome]]:
    """Return N_REPEATS retest trials per finalist, grouped by finalist."""
    return [
        Trial(o.genome, _seed(o, run_seed, i), f"{o.id}-again{i}", "confirm", (o.id,))
        for o in finalists
        for i in range(1, N_REPEATS + 1)
    ]


def make_candidates(finalists: Sequence[Organism], again: Sequence[Evaluation]) -> list[Candidate]:
    """Return the finalists with the successful evaluations of their `confirmation_trials`."""
    return [
        Candidate(finalist, (finalist.evaluation, *(e for e in found if e.status == "ok")))
        for i, finalist in enumerate(finalists)
        if finalist.evaluation and (found := again[i * N_REPEATS : (i + 1) * N_REPEATS])
    ]


def choose(
    search: Population | Hydra, candidates: Sequence[Candidate], head: HeadName | None = None
) -> Winner | None:
    """Return the winner among the retested finalists, or None if there is none.

    Args:
        head: head of the Hydra whose champion wins; None for the best over all heads.
    """
    if not candidates:
        return None
    if isinstance(search, AestheticPopulation):
        return Winner(best_for(JUDGE, candidates).organism, JUDGE)
    if isinstance(search, Population):
        return Winner(min(candidates, key=lambda candidate: candidate.mean(None)).organism)
    if head is None:  # report the judge's score
        return Winner(best_for_all(list(search.heads), candidates).organism, JUDGE)
    champion = head_winners(search, candidates).get(head)
    return Winner(champion.organism, head, head) if champion else None


def head_winners(search: Hydra, candidates: Sequence[Candidate]) -> dict[HeadName, Candidate]:
    """Return the best candidate of each head that has one."""
    by_seed = {candidate.organism.seed: candidate for candidate in candidates}
    return {
        head: best_for(head, [by_seed[organism.seed] for organism in organisms])
        for head, organisms in search.met.items()
        if organisms
    }


def best_for(measure: str, candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the best mean score; the first candidate wins ties."""
    return max(candidates, key=lambda candidate: candidate.mean(measure))


def best_for_all(heads: Collection[HeadName], candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the lowest sum of ranks over the heads; the first wins ties.

    Ranks are used because the scores of different heads are not comparable.
    """
    return min(
        candidates,
        key=lambda one: sum(each.mean(h) > one.mean(h) for h in heads for each in candidates),
    )


def _seed(organism: Organism, run_seed: int, repeat: int) -> int:
    return training_seed(run_seed, organism.generation, organism.slot, repeat)
