"""Loss search with an ask and tell interface.

search = LossSearch(population=8, fitness="held-out", seed=42)
for _ in range(10):
    ranked = search.tell([evaluate(organism) for organism in search.ask()])
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from random import Random

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import Fitness
from microgpt_evolution.population import Evaluation, Organism, tournament
from microgpt_evolution.search.blacklist import Blacklist
from microgpt_evolution.search.breeding import Population, child, kept
from microgpt_evolution.search.genome_operators import EVOLVE_RUST, Operators
from microgpt_evolution.search.stagnation import StagnationSchedule, StagnationStage

N_IMMIGRANTS = 2
N_CHAMPIONS = 3
CROSS_BELOW, MUTANT_BELOW = 0.4, 0.8  # thresholds for the uniform draw that selects the operator
MAX_TRIES = 20  # number of random genomes drawn before a blacklisted species is accepted


class LossSearch(Population):
    """A population bred by tournament selection, with a stagnation schedule and a blacklist."""

    def __init__(
        self,
        *,
        population: int,
        fitness: Fitness,
        seed: int,
        ancestor: Genome | None = None,
        operators: Operators = EVOLVE_RUST,
    ) -> None:
        super().__init__(population, seed=seed, operators=operators, ancestor=ancestor)
        founder = (self.organisms[0].id,)  # of the mutants in a warm start
        self.organisms = [
            replace(o, parents=founder) if o.origin == "mutant" else o for o in self.organisms
        ]
        self.schedule = StagnationSchedule()
        self.blacklist = Blacklist(fitness)
        self.stage: StagnationStage = "normal"  # in which the current generation was bred
        self._avoided: Collection[str] = ()  # blacklisted species, which random genomes avoid

    @property
    def stagnation(self) -> int:
        """The number of generations without progress."""
        return self.schedule.stagnation

    def tell(self, evaluations: Sequence[Evaluation]) -> list[Organism]:
        """Assign the evaluations, in the order of `ask`, and return the ranked population."""
        ranked = super().tell(evaluations)
        self.blacklist = self.blacklist.after(ranked)
        self.schedule = self.schedule.after(ranked[0].fitness)
        return ranked

    def _children(self) -> list[Organism]:
        """Return the next generation, and set `stage`.

        Only finished organisms are kept or used as parents. If none exist, all offspring are
        random.
        """
        self.stage = self.schedule.stage
        self.schedule = self.schedule.after_breeding()
        self._avoided = self.blacklist.species
        winners = [organism for organism in self.organisms if organism.has_finished]
        if self.stage == "cataclysm":
            return self._cataclysm(winners)
        if not winners:
            return [self._immigrant() for _ in self.organisms]
        return (
            self._championship(winners) if self.stage == "championship" else self._normal(winners)
        )

    def _normal(self, winners: Sequence[Organism]) -> list[Organism]:
        """Return the elite, the immigrants, and offspring of tournament winners."""
        children = [kept(winners[0], "elite")]
        children += [self._immigrant() for _ in range(count_immigrants(self.size))]
        children += [self._offspring(winners) for _ in range(self.size - len(children))]
        return children

    def _offspring(self, winners: Sequence[Organism]) -> Organism:
        rng, mutate, crossover = self.rng, self.operators.mutate, self.operators.crossover
        draw = rng.random()
        parent = tournament(winners, rng)
        if draw < CROSS_BELOW:
            other = tournament(winners, rng)
            genome = mutate(crossover(parent.genome, other.genome, rng), rng)
            return child(genome, "cross", parent, other)
        genome = mutate(parent.genome, rng)
        if draw < MUTANT_BELOW:
            return child(genome, "mutant", parent)
        return child(mutate(genome, rng), "hyper", parent)

    def _championship(self, winners: Sequence[Organism]) -> list[Organism]:
        """Return the best genome again, offspring of the three best, and an immigrant."""
        operators, rng, size = self.operators, self.rng, self.size
        best, champions = winners[0], winners[:N_CHAMPIONS]
        children = [child(best.genome, "re-eval", best)]
        if size > 1:
            children.append(child(operators.grow(best.genome, rng), "grown", best))
        for i in range(min(len(champions), size - len(children))):
            a, b = champions[i], champions[(i + 1) % len(champions)]
            crossed = operators.crossover(a.genome, b.genome, rng)
            children.append(child(operators.fine_tune(crossed, rng), "champion", a, b))
        while len(children) < size - 1:
            children.append(child(operators.fine_tune(best.genome, rng), "tuned", best))
        if len(children) < size:
            children.append(self._immigrant())
        return children

    def _cataclysm(self, winners: Sequence[Organism]) -> list[Organism]:
        """Return the best genome for re-evaluation, and random genomes from the wide space."""
        children = [child(best.genome, "re-eval", best) for best in winners[:1]]
        while len(children) < self.size:
            children.append(child(self._random_avoiding(self.operators.wide), "cataclysm"))
        return children

    def _immigrant(self) -> Organism:
        return child(self._random_avoiding(self.operators.random), "immigrant")

    def _random_avoiding(self, draw: Callable[[Random], Genome]) -> Genome:
        """Draw a genome whose species is not blacklisted, if there is one."""
        for _ in range(MAX_TRIES):
            genome = draw(self.rng)
            if genome.species not in self._avoided:
                return genome
        return draw(self.rng)


def count_immigrants(size: int) -> int:
    """Return the number of immigrants (random organisms): at most 2, and at most size - 2."""
    return max(0, min(N_IMMIGRANTS, size - 2))
