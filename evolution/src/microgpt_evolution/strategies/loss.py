"""Loss search: tournament selection, a restart after stagnation, and a blacklist of species.

search = LossSearch(size=8, fitness="held-out", seed=42)
for _ in range(10):
    ranked = search.tell([evaluate(organism) for organism in search.ask()])
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import Fitness, loser_threshold
from microgpt_evolution.strategies import genome_operators as ops
from microgpt_evolution.strategies.population import Organism, Population, child, kept, tournament
from microgpt_evolution.trial import Evaluation

CHAMPIONSHIP_AFTER = 2  # generations without progress, before only the best organisms breed
CATACLYSM_AFTER = 4  # generations without progress, before a restart with random genomes
PROGRESS = 1e-8  # minimum improvement; smaller gains may be rounding errors
MIN_FAILURES = 2  # of a species, before random genomes avoid it
N_IMMIGRANTS = 2  # random organisms per generation; fewer in a population of less than four
N_CHAMPIONS = 3
CROSS_BELOW, MUTANT_BELOW = 0.4, 0.8  # thresholds for the uniform draw that selects the operator
MAX_TRIES = 20  # number of random genomes drawn before a blacklisted species is accepted


class LossSearch(Population):
    """A population that minimises a loss.

    Attributes:
        failures: number of failed evaluations per species.
    """

    random_genome = staticmethod(ops.random_genome)

    def __init__(self, size: int, *, fitness: Fitness, **options: Any) -> None:
        """Create the first generation; see `Population` for the options."""
        super().__init__(size, **options)
        self.stagnation: int = 0
        self.failures = Counter[str]()
        self._fitness = fitness
        self._values: list[float] = []  # fitness of all finished evaluations
        self._best: float | None = None  # best fitness of the last generation

    def tell(self, evaluations: Sequence[Evaluation]) -> list[Organism]:
        """Assign the evaluations, in the order of `ask`, and return the ranked population."""
        ranked = super().tell(evaluations)
        self._note_failures(ranked)
        self._note_progress(ranked[0].fitness)
        return ranked

    def _note_failures(self, generation: Sequence[Organism]) -> None:
        """Count the failures per species; the evaluation of an elite was counted before."""
        new = [o for o in generation if o.has_finished and o.origin != "elite"]
        if new:
            self._values += [organism.fitness for organism in new]
            threshold = loser_threshold(self._fitness, self._values)
            self.failures.update(o.genome.species for o in new if o.fitness > threshold)

    def _note_progress(self, best: float) -> None:
        """Count the generations without a lower fitness.

        In evolve-rust, any change counts as progress. Its championships re-evaluate the elite,
        which changes the fitness, so it never reaches a cataclysm.
        """
        if self._best is not None:
            has_gained = best < math.inf and best <= self._best - PROGRESS
            self.stagnation = 0 if has_gained else self.stagnation + 1
        self._best = best

    def _children(self) -> list[Organism]:
        """Return the next generation; only finished organisms have offspring."""
        winners = [organism for organism in self.organisms if organism.has_finished]
        if self.stagnation >= CATACLYSM_AFTER:
            self.stagnation = 0
            return self._cataclysm(winners)
        if not winners:
            return [self._immigrant() for _ in self.organisms]
        is_stuck = self.stagnation >= CHAMPIONSHIP_AFTER
        return self._championship(winners) if is_stuck else self._normal(winners)

    def _normal(self, winners: Sequence[Organism]) -> list[Organism]:
        children = [kept(winners[0], "elite")]
        children += [self._immigrant() for _ in range(min(N_IMMIGRANTS, self.size - 2))]
        children += [self._offspring(winners) for _ in range(self.size - len(children))]
        return children

    def _offspring(self, winners: Sequence[Organism]) -> Organism:
        draw = self.rng.random()
        parent = tournament(winners, self.rng)
        if draw < CROSS_BELOW:
            other = tournament(winners, self.rng)
            crossed = ops.crossover(parent.genome, other.genome, self.rng)
            return child(ops.mutate(crossed, self.rng), "cross", parent, other)
        genome = ops.mutate(parent.genome, self.rng)
        if draw < MUTANT_BELOW:
            return child(genome, "mutant", parent)
        return child(ops.mutate(genome, self.rng), "hyper", parent)

    def _championship(self, winners: Sequence[Organism]) -> list[Organism]:
        """Return the best genome, offspring of the three best genomes, and an immigrant."""
        rng, size = self.rng, self.size
        best, champions = winners[0], winners[:N_CHAMPIONS]
        children = [child(best.genome, "re-eval", best)]
        if size > 1:
            children.append(child(ops.grow(best.genome, rng), "grown", best))
        for i in range(min(len(champions), size - len(children))):
            a, b = champions[i], champions[(i + 1) % len(champions)]
            crossed = ops.crossover(a.genome, b.genome, rng)
            children.append(child(ops.fine_tune(crossed, rng), "champion", a, b))
        while len(children) < size - 1:
            children.append(child(ops.fine_tune(best.genome, rng), "tuned", best))
        if len(children) < size:
            children.append(self._immigrant())
        return children

    def _cataclysm(self, winners: Sequence[Organism]) -> list[Organism]:
        children = [child(best.genome, "re-eval", best) for best in winners[:1]]
        while len(children) < self.size:
            children.append(child(self._unfailed_genome(ops.WIDE), "cataclysm"))
        return children

    def _immigrant(self) -> Organism:
        return child(self._unfailed_genome(ops.NORMAL), "immigrant")

    def _unfailed_genome(self, space: ops.Values) -> Genome:
        """Draw a genome whose species has not failed repeatedly, if there is one."""
        for _ in range(MAX_TRIES):
            genome = ops.random_genome(self.rng, space)
            if self.failures[genome.species] < MIN_FAILURES:
                return genome
        return ops.random_genome(self.rng, space)
