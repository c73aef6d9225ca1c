"""The search for a low loss, one generation at a time: ask for organisms, tell what they gave.

    search = LossSearch(population=8, fitness="held-out", seed=42)
    for _ in range(10):
        ranked = search.tell([evaluate(organism) for organism in search.to_evaluate()])
        search.breed()

It is a pure function of its arguments and of what it is told: it knows nothing of how an organism
is evaluated, and neither clock nor files.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import Fitness
from microgpt_evolution.population import Evaluation, Organism, rank
from microgpt_evolution.search.blacklist import Blacklist
from microgpt_evolution.search.breeding import first_generation, next_generation
from microgpt_evolution.search.stagnation import Rung, StagnationSchedule


class LossSearch:
    """A search, and all that it goes by.

    Attributes:
        population: the generation at hand, in the order of its slots.
        generations: those that have been told of, each ranked.
        ladder: how long the search has been stuck.
        blacklist: what speaks against species.
        rng: the generator that all breeding draws from.
    """

    def __init__(
        self, *, population: int, fitness: Fitness, seed: int, ancestor: Genome | None = None
    ) -> None:
        self.rng = Random(seed)
        self.population = first_generation(
            population, run_seed=seed, rng=self.rng, ancestor=ancestor
        )
        self.generations: list[list[Organism]] = []
        self.ladder = StagnationSchedule()
        self.blacklist = Blacklist(fitness)
        self._seed = seed

    def to_evaluate(self) -> list[Organism]:
        """Return the organisms of the generation that have no evaluation: all but an elite."""
        return [organism for organism in self.population if organism.evaluation is None]

    def tell(self, evaluations: Sequence[Evaluation]) -> list[Organism]:
        """Return the generation, ranked.

        Args:
            evaluations: of the organisms to evaluate, in their order.
        """
        news = zip(self.to_evaluate(), evaluations, strict=True)
        told = {old.slot: replace(old, evaluation=evaluation) for old, evaluation in news}
        self.population = [told.get(organism.slot, organism) for organism in self.population]
        ranked = rank(self.population)
        self.generations.append(ranked)
        self.blacklist = self.blacklist.after(ranked)
        self.ladder = self.ladder.after(ranked[0].fitness)
        return ranked

    def breed(self) -> Rung:
        """Replace the population by the next generation; return how it was bred."""
        rung = self.ladder.rung
        self.population = next_generation(
            rung,
            self.generations[-1],
            run_seed=self._seed,
            rng=self.rng,
            blacklisted=self.blacklist.species,
        )
        self.ladder = self.ladder.after_breeding()
        return rung
