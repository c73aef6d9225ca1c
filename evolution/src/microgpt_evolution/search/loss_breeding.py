"""Breed the generations of a loss search."""

from collections.abc import Collection, Sequence
from random import Random

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Offspring, Organism, place, tournament
from microgpt_evolution.search.genome_operators import (
    NORMAL,
    WIDE,
    Space,
    crossover,
    fine_tune,
    grow,
    mutate,
    random_genome,
)
from microgpt_evolution.search.stagnation import StagnationStage

N_IMMIGRANTS = 2
N_CHAMPIONS = 3
CROSS_BELOW, MUTANT_BELOW = 0.4, 0.8  # thresholds for the uniform draw that selects the operator
MAX_TRIES = 20  # number of random genomes drawn before a blacklisted species is accepted


def first_generation(
    size: int, *, run_seed: int, rng: Random, ancestor: Genome | None = None
) -> list[Organism]:
    """Return random organisms; if an ancestor is given, half are the ancestor and its mutants."""
    children = []
    if ancestor:
        children = [Offspring(ancestor, "genome")]
        founder = place(children, 1, run_seed)
        while len(children) < size // 2:
            children.append(Offspring(mutate(ancestor, rng), "mutant", tuple(founder)))
    while len(children) < size:
        children.append(Offspring(random_genome(rng, NORMAL), "random"))
    return place(children, 1, run_seed)


def next_generation(
    stage: StagnationStage,
    ranked: Sequence[Organism],
    *,
    run_seed: int,
    rng: Random,
    blacklisted: Collection[str] = (),
) -> list[Organism]:
    """Return the next generation, which has the same size as the ranked generation.

    Only finished organisms are kept or used as parents. If none exist, all offspring are random.

    Args:
        run_seed: seed of the run, from which the training seeds are derived.
        blacklisted: species that random genomes avoid.
    """
    size = len(ranked)
    winners = [organism for organism in ranked if organism.has_finished]
    if stage == "cataclysm":
        children = _cataclysm(winners, size, rng, blacklisted)
    elif not winners:
        children = [_immigrant(rng, blacklisted) for _ in range(size)]
    elif stage == "championship":
        children = _championship(winners, size, rng, blacklisted)
    else:
        children = _normal(winners, size, rng, blacklisted)
    return place(children, ranked[0].generation + 1, run_seed)


def count_immigrants(size: int) -> int:
    """Return the number of immigrants (random organisms): at most 2, and at most size - 2."""
    return max(0, min(N_IMMIGRANTS, size - 2))


def _normal(
    winners: Sequence[Organism], size: int, rng: Random, blacklisted: Collection[str]
) -> list[Offspring]:
    """Return the elite, the immigrants, and offspring of tournament winners."""
    best = winners[0]
    children = [Offspring.same(best, "elite")]
    children += [_immigrant(rng, blacklisted) for _ in range(count_immigrants(size))]
    children += [_offspring(winners, rng) for _ in range(size - len(children))]
    return children


def _offspring(winners: Sequence[Organism], rng: Random) -> Offspring:
    draw = rng.random()
    parent = tournament(winners, rng)
    if draw < CROSS_BELOW:
        other = tournament(winners, rng)
        genome = mutate(crossover(parent.genome, other.genome, rng), rng)
        return Offspring(genome, "cross", (parent, other))
    genome = mutate(parent.genome, rng)
    if draw < MUTANT_BELOW:
        return Offspring(genome, "mutant", (parent,))
    return Offspring(mutate(genome, rng), "hyper", (parent,))


def _championship(
    winners: Sequence[Organism], size: int, rng: Random, blacklisted: Collection[str]
) -> list[Offspring]:
    """Return the best genome for re-evaluation, offspring of the three best, and an immigrant."""
    best = winners[0]
    children = [Offspring(best.genome, "re-eval", (best,))]
    if size > 1:
        children.append(Offspring(grow(best.genome, rng), "grown", (best,)))
    champions = winners[:N_CHAMPIONS]
    for i in range(min(len(champions), size - len(children))):
        a, b = champions[i], champions[(i + 1) % len(champions)]
        genome = fine_tune(crossover(a.genome, b.genome, rng), rng)
        children.append(Offspring(genome, "champion", (a, b)))
    while len(children) < size - 1:
        children.append(Offspring(fine_tune(best.genome, rng), "tuned", (best,)))
    if len(children) < size:
        children.append(_immigrant(rng, blacklisted))
    return children


def _cataclysm(
    winners: Sequence[Organism], size: int, rng: Random, blacklisted: Collection[str]
) -> list[Offspring]:
    """Return the best genome for re-evaluation, and random genomes from the wide space."""
    children = [Offspring(best.genome, "re-eval", (best,)) for best in winners[:1]]
    while len(children) < size:
        children.append(Offspring(_random_avoiding(blacklisted, WIDE, rng), "cataclysm"))
    return children


def _immigrant(rng: Random, blacklisted: Collection[str]) -> Offspring:
    return Offspring(_random_avoiding(blacklisted, NORMAL, rng), "immigrant")


def _random_avoiding(blacklisted: Collection[str], space: Space, rng: Random) -> Genome:
    for _ in range(MAX_TRIES):
        genome = random_genome(rng, space)
        if genome.species not in blacklisted:
            return genome
    return random_genome(rng, space)
