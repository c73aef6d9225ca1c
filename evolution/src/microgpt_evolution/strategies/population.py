"""Organisms, the choice of finalists, and the base class of populations that breed organisms."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean

from microgpt_evolution.genome import Genome
from microgpt_evolution.trial import FRESH, RETEST, Evaluation, Trial, training_seed

TOURNAMENT_SIZE = 3
N_FINALISTS = 3
N_REPEATS = 2  # number of training runs per finalist, in addition to the run in the search
N_FRESH = 3  # number of training runs of the winner that do not influence the search
POPULATION = "champion"  # name in the progress line, if a search has only one population


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
        ids = (f"{self.id}-{name}{i}" for i in range(1, len(seeds) + 1))
        pairs = zip(ids, seeds, strict=True)
        return [Trial(self.genome, seed, id, origin, (self.id,)) for id, seed in pairs]


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
    """Return a new organism; `Population` sets its id and seed."""
    return Organism(genome, seed=0, origin=origin, parents=tuple(each.id for each in parents))


def kept(organism: Organism, origin: str) -> Organism:
    """Return a copy of an evaluated organism for the next generation, with the old id as parent."""
    return replace(organism, origin=origin, parents=(organism.id,))


class Population(ABC):
    """Base class of populations that breed organisms; one population is a complete search."""

    random_genome: Callable[[Random], Genome]
    n_finalists = N_FINALISTS  # maximum number of finalists
    n_per_cycle = 1  # generations per cycle
    stagnation: int | None = None  # generations without improvement; None if it is not tracked

    def __init__(
        self,
        size: int,
        *,
        seed: int,
        measure: str | None = None,
        rng: Random | None = None,
        first_slot: int = 1,
    ) -> None:
        """Create the first generation, with random genomes.

        Populations that share the random generator `rng` need different values of `first_slot`.
        """
        self.size, self.rng, self.measure = size, rng or Random(seed), measure
        self._seed, self._first_slot = seed, first_slot
        self.generations: list[list[Organism]] = []  # evaluated generations, best organisms first
        children = [child(self.random_genome(self.rng), "random") for _ in range(size)]
        # The current generation, in the order of slots; `tell` sorts it, best first.
        self.organisms = self._placed(children, generation=1)

    @property
    def generation(self) -> int:
        """The current generation number, counted from 1."""
        return self.organisms[0].generation

    @property
    def populations(self) -> Mapping[str, "Population"]:
        """The populations of the search, by name."""
        return {POPULATION: self}

    def ask(self) -> list[Organism]:
        """Return the organisms to evaluate; breed them if the last generation is evaluated."""
        if self.generations and self.organisms is self.generations[-1]:
            self.organisms = self._placed(self._children(), self.generation + 1)
        return [organism for organism in self.organisms if organism.evaluation is None]

    def tell(self, evaluations: Sequence[Evaluation]) -> list[Organism]:
        """Assign the evaluations, in the order of `ask`; return the population, best first."""
        # `ask` does not breed here, because this generation is not in self.generations yet.
        told = {each.id: e for each, e in zip(self.ask(), evaluations, strict=True)}
        new = [replace(o, evaluation=o.evaluation or told[o.id]) for o in self.organisms]
        self.organisms = rank(new)
        self.generations.append(self.organisms)
        return self.organisms

    @abstractmethod
    def _children(self) -> list[Organism]:
        """Return the organisms of the next generation, without ids and seeds."""

    def finalists(self) -> list[Organism]:
        """Return the best `n_finalists` organisms of all generations, with distinct genomes."""
        best: dict[Genome, Organism] = {}
        for organism in rank([o for ranked in self.generations for o in ranked if o.has_finished]):
            best.setdefault(organism.genome, organism)
        return list(best.values())[: self.n_finalists]

    def choose(self, finalists: Sequence[Finalist]) -> Finalist | None:
        """Return the finalist with the best mean, or None if there are no finalists."""
        return min(finalists, key=lambda each: each.fitness(self.measure), default=None)

    def _placed(self, children: Sequence[Organism], generation: int) -> list[Organism]:
        """Return the children with consecutive ids; those without an evaluation get new seeds."""
        placed = []
        for slot, each in enumerate(children, start=self._first_slot):
            seed = each.seed if each.evaluation else training_seed(self._seed, generation, slot)
            id = f"g{generation}-{slot}"
            placed.append(replace(each, id=id, seed=seed, measure=self.measure))
        return placed
