"""Organisms, the members of a population: tournaments, offspring, and retests of finalists."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean

from microgpt_evolution.genome import Genome
from microgpt_evolution.trial import FRESH, RETEST, Evaluation, Trial, training_seed

TOURNAMENT_SIZE = 3
N_REPEATS = 2  # number of training runs per finalist, in addition to the run in the search
N_FRESH = 3  # number of training runs of the winner that do not influence the search


@dataclass(frozen=True)
class Organism(Trial):
    """A member of a population: a trial, and its evaluation when it has ended.

    The origin is "random" in the first generation; "elite", "immigrant", "cross", "mutant" or
    "hyper" later; "re-eval", "grown", "champion", "tuned" or "cataclysm" during stagnation;
    "migrant" if it comes from another head of the Hydra. An elite has already been evaluated.
    """

    evaluation: Evaluation | None = None
    measure: str | None = None  # the name of the score to maximize; None for the loss

    @property
    def fitness(self) -> float:
        """The loss or the negated score, which the search minimizes; infinity without a result."""
        e = self.evaluation
        if not e or not e.is_ok:
            return math.inf
        fitness = -e.scores[self.measure] if e.scores and self.measure else e.fitness
        return fitness if math.isfinite(fitness) else math.inf

    @property
    def figure(self) -> float:
        """The loss (lower is better), or the score (higher is better)."""
        return -self.fitness if self.evaluation and self.evaluation.scores else self.fitness

    @property
    def has_finished(self) -> bool:
        """Whether the organism has a finite fitness; only finished organisms can win."""
        return self.fitness < math.inf

    def retests(self, seed: int) -> list[Trial]:
        """Return trials of the genome with N_REPEATS other seeds, used to choose the winner."""
        seeds = [training_seed(seed, *self.place, i) for i in range(1, N_REPEATS + 1)]
        return self._again(seeds, "again", RETEST)

    def fresh_trials(self, seed: int) -> list[Trial]:
        """Return N_FRESH trials with `seed` and seeds that were not used to choose the winner."""
        others = range(N_REPEATS + 1, N_REPEATS + N_FRESH)
        seeds = [seed, *(training_seed(seed, *self.place, i) for i in others)]
        return self._again(seeds, "fresh", FRESH)

    def _again(self, seeds: Sequence[int], name: str, origin: str) -> list[Trial]:
        return [
            Trial(self.genome, seed, f"{self.id}-{name}{i}", origin, (self.id,))
            for i, seed in enumerate(seeds, start=1)
        ]


@dataclass(frozen=True)
class Finalist:
    """One of the best organisms, and its evaluations with further seeds; some may have failed.

    The best of many noisy measurements is partly due to luck, so the best mean wins.
    """

    organism: Organism
    retests: Sequence[Evaluation]

    def values(self, measure: str | None) -> list[float]:
        """Return the score `measure`, or else the fitness, of each evaluation without an error."""
        found = [each for each in (self.organism.evaluation, *self.retests) if each and each.is_ok]
        if measure is None:
            return [evaluation.fitness for evaluation in found]
        return [evaluation.scores[measure] for evaluation in found if evaluation.scores]

    def fitness(self, measure: str | None) -> float:
        """Return the mean of `values`; for a score, it is negated, so that lower is better."""
        mean = fmean(self.values(measure))
        return mean if measure is None else -mean


def rank(organisms: Sequence[Organism]) -> list[Organism]:
    """Return the organisms sorted from best to worst; those without a result come last."""
    return sorted(organisms, key=lambda organism: organism.fitness)


def tournament(organisms: Sequence[Organism], rng: Random) -> Organism:
    """Return the best of TOURNAMENT_SIZE organisms, which are drawn with replacement."""
    return rank([rng.choice(organisms) for _ in range(TOURNAMENT_SIZE)])[0]


def child(genome: Genome, origin: str, *parents: Organism) -> Organism:
    """Return a new organism; a population sets its id and seed."""
    return Organism(genome, seed=0, origin=origin, parents=tuple(each.id for each in parents))


def kept(organism: Organism, origin: str) -> Organism:
    """Return a copy of an evaluated organism for the next generation, with the old id as parent."""
    return replace(organism, origin=origin, parents=(organism.id,))
