"""Breed the generations of a loss search."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Offspring, Organism, place, tournament
from microgpt_evolution.search.genome_operators import EVOLVE_RUST, Operators
from microgpt_evolution.search.stagnation import StagnationStage

N_IMMIGRANTS = 2
N_CHAMPIONS = 3
CROSS_BELOW, MUTANT_BELOW = 0.4, 0.8  # thresholds for the uniform draw that selects the operator
MAX_TRIES = 20  # number of random genomes drawn before a blacklisted species is accepted


def first_generation(
    size: int,
    *,
    run_seed: int,
    rng: Random,
    ancestor: Genome | None = None,
    operators: Operators = EVOLVE_RUST,
) -> list[Organism]:
    """Return random organisms; if an ancestor is given, half are the ancestor and its mutants."""
    children = []
    if ancestor:
        children = [Offspring(ancestor, "genome")]
        founder = place(children, 1, run_seed)
        while len(children) < size // 2:
            children.append(Offspring(operators.mutate(ancestor, rng), "mutant", tuple(founder)))
    first = [Offspring(genome, "genome") for genome in operators.first]
    children += first[: size - len(children)]
    while len(children) < size:
        children.append(Offspring(operators.random(rng), "random"))
    return place(children, 1, run_seed)


def next_generation(
    stage: StagnationStage,
    ranked: Sequence[Organism],
    *,
    run_seed: int,
    rng: Random,
    blacklisted: Collection[str] = (),
    operators: Operators = EVOLVE_RUST,
) -> list[Organism]:
    """Return the next generation, which has the same size as the ranked generation.

    Only finished organisms are kept or used as parents. If none exist, all offspring are random.

    Args:
        run_seed: seed of the run, from which the training seeds are derived.
        blacklisted: species that random genomes avoid.
    """
    winners = [organism for organism in ranked if organism.has_finished]
    breeding = _Breeding(winners, len(ranked), rng, blacklisted, operators)
    if stage == "cataclysm":
        children = breeding.cataclysm()
    elif not winners:
        children = [breeding.immigrant() for _ in ranked]
    elif stage == "championship":
        children = breeding.championship()
    else:
        children = breeding.normal()
    return place(children, ranked[0].generation + 1, run_seed)


def count_immigrants(size: int) -> int:
    """Return the number of immigrants (random organisms): at most 2, and at most size - 2."""
    return max(0, min(N_IMMIGRANTS, size - 2))


@dataclass(frozen=True)
class _Breeding:
    """The parents of a generation and the means to breed it."""

    winners: Sequence[Organism]  # finished organisms, the best first
    size: int
    rng: Random
    blacklisted: Collection[str]
    operators: Operators

    def normal(self) -> list[Offspring]:
        """Return the elite, the immigrants, and offspring of tournament winners."""
        best = self.winners[0]
        children = [Offspring.same(best, "elite")]
        children += [self.immigrant() for _ in range(count_immigrants(self.size))]
        children += [self._offspring() for _ in range(self.size - len(children))]
        return children

    def _offspring(self) -> Offspring:
        rng, mutate, crossover = self.rng, self.operators.mutate, self.operators.crossover
        draw = rng.random()
        parent = tournament(self.winners, rng)
        if draw < CROSS_BELOW:
            other = tournament(self.winners, rng)
            genome = mutate(crossover(parent.genome, other.genome, rng), rng)
            return Offspring(genome, "cross", (parent, other))
        genome = mutate(parent.genome, rng)
        if draw < MUTANT_BELOW:
            return Offspring(genome, "mutant", (parent,))
        return Offspring(mutate(genome, rng), "hyper", (parent,))

    def championship(self) -> list[Offspring]:
        """Return the best genome again, offspring of the three best, and an immigrant."""
        operators, rng = self.operators, self.rng
        best, size = self.winners[0], self.size
        children = [Offspring(best.genome, "re-eval", (best,))]
        if size > 1:
            children.append(Offspring(operators.grow(best.genome, rng), "grown", (best,)))
        champions = self.winners[:N_CHAMPIONS]
        for i in range(min(len(champions), size - len(children))):
            a, b = champions[i], champions[(i + 1) % len(champions)]
            crossed = operators.crossover(a.genome, b.genome, rng)
            genome = operators.fine_tune(crossed, rng)
            children.append(Offspring(genome, "champion", (a, b)))
        while len(children) < size - 1:
            children.append(Offspring(operators.fine_tune(best.genome, rng), "tuned", (best,)))
        if len(children) < size:
            children.append(self.immigrant())
        return children

    def cataclysm(self) -> list[Offspring]:
        """Return the best genome for re-evaluation, and random genomes from the wide space."""
        children = [Offspring(best.genome, "re-eval", (best,)) for best in self.winners[:1]]
        while len(children) < self.size:
            children.append(Offspring(self._random_avoiding(self.operators.wide), "cataclysm"))
        return children

    def immigrant(self) -> Offspring:
        """Return a random organism."""
        return Offspring(self._random_avoiding(self.operators.random), "immigrant")

    def _random_avoiding(self, draw: Callable[[Random], Genome]) -> Genome:
        """Draw a genome whose species is not blacklisted, if there is one."""
        for _ in range(MAX_TRIES):
            genome = draw(self.rng)
            if genome.species not in self.blacklisted:
                return genome
        return draw(self.rng)
