"""Populations, which breed organisms: the base class, and the population of a search by loss.

The latter selects parents in tournaments, and avoids species that have failed repeatedly. The
constants come from evolve-rust.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives import Fitness
from microgpt_evolution.strategies import genetic_operators as operators
from microgpt_evolution.strategies import stagnation
from microgpt_evolution.strategies.organism import Finalist, Organism, child, kept, rank, tournament
from microgpt_evolution.trial import Evaluation, training_seed

N_FINALISTS = 3
POPULATION = "champion"  # name in the progress line, if a search has only one population
LAST_DOC_LOSER = 2.3  # a higher last-document loss is a failure, as in evolve-rust
MIN_FAILURES = 2  # number of failures after which random genomes avoid a species
N_IMMIGRANTS = 2  # random organisms per generation; fewer if the population is smaller than 4
CROSS_BELOW, MUTANT_BELOW = 0.4, 0.8  # thresholds of a uniform draw that selects an operator
MAX_TRIES = 20  # maximum number of redraws, after which a blacklisted species is accepted


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


class LossPopulation(Population):
    """A population that minimizes a loss."""

    random_genome = staticmethod(operators.random_genome)

    def __init__(self, size: int, *, fitness: Fitness, **options: Any) -> None:
        """Create the first generation; the options are those of `Population`."""
        super().__init__(size, **options)
        self.stagnation: int = 0
        self.failures = Counter[str]()  # failed evaluations per species
        self._fitness = fitness
        self._values: list[float] = []  # the fitness of each finished evaluation
        self._best: float | None = None  # best fitness of the last generation

    def tell(self, evaluations: Sequence[Evaluation]) -> list[Organism]:
        """Assign the evaluations, in the order of `ask`; return the population, best first."""
        ranked = super().tell(evaluations)
        self._note_failures(ranked)
        before, self._best = self._best, ranked[0].fitness
        self.stagnation = stagnation.count(self.stagnation, before, self._best)
        return ranked

    def _note_failures(self, generation: Sequence[Organism]) -> None:
        """Count losses above the failure threshold per species; elites were counted before."""
        new = [o for o in generation if o.has_finished and o.origin != "elite"]
        if new:
            self._values += [organism.fitness for organism in new]
            threshold = loser_threshold(self._fitness, self._values)
            self.failures.update(o.genome.species for o in new if o.fitness > threshold)

    def _children(self) -> list[Organism]:
        """Return the next generation; organisms without a finite fitness have no offspring."""
        winners = [organism for organism in self.organisms if organism.has_finished]
        if self.stagnation >= stagnation.CATACLYSM_AFTER:
            self.stagnation = 0
            return stagnation.cataclysm(winners, self.size, self._newcomer)
        if not winners:
            return [self._newcomer() for _ in self.organisms]
        if self.stagnation >= stagnation.CHAMPIONSHIP_AFTER:
            return stagnation.championship(winners, self.size, self.rng, self._newcomer)
        return self._normal(winners)

    def _normal(self, winners: Sequence[Organism]) -> list[Organism]:
        children = [kept(winners[0], "elite")]
        children += [self._newcomer() for _ in range(min(N_IMMIGRANTS, self.size - 2))]
        children += [self._offspring(winners) for _ in range(self.size - len(children))]
        return children

    def _offspring(self, winners: Sequence[Organism]) -> Organism:
        draw = self.rng.random()
        parent = tournament(winners, self.rng)
        if draw < CROSS_BELOW:
            other = tournament(winners, self.rng)
            crossed = operators.crossover(parent.genome, other.genome, self.rng)
            return child(operators.mutate(crossed, self.rng), "cross", parent, other)
        genome = operators.mutate(parent.genome, self.rng)
        if draw < MUTANT_BELOW:
            return child(genome, "mutant", parent)
        return child(operators.mutate(genome, self.rng), "hyper", parent)

    def _newcomer(
        self, origin: str = "immigrant", space: operators.Values = operators.NORMAL
    ) -> Organism:
        """Draw a genome; while its species has failed repeatedly, redraw up to MAX_TRIES times."""
        for _ in range(MAX_TRIES + 1):
            genome = operators.random_genome(self.rng, space)
            if self.failures[genome.species] < MIN_FAILURES:
                break
        return child(genome, origin)


def loser_threshold(fitness: Fitness, values: Sequence[float]) -> float:
    """Return the fitness above which an evaluation counts as a failure of its species.

    For held-out losses, the threshold is the largest value outside the worst quartile.
    """
    if fitness == "last-doc":
        return LAST_DOC_LOSER
    return sorted(values)[-1 - len(values) // 4]
