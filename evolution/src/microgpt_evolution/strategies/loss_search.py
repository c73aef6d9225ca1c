"""Loss search: tournament selection, a restart after stagnation, and a blacklist of species.

The constants of the operators come from evolve-rust, except that growth is limited by `LIMITS`.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, TypeVar

from microgpt_evolution.genome import GENES, LIMITS, Genome, values_of
from microgpt_evolution.objectives import Fitness
from microgpt_evolution.strategies.population import Organism, Population, child, kept, tournament
from microgpt_evolution.trial import Evaluation

CHAMPIONSHIP_AFTER = 2  # generations without progress after which only the best organisms breed
CATACLYSM_AFTER = 4  # generations without progress after which random genomes restart the search
LAST_DOC_LOSER = 2.3  # a higher last-document loss is a failure, as in evolve-rust
PROGRESS = 1e-8  # minimum decrease of the loss; smaller ones can be rounding errors
MIN_FAILURES = 2  # number of failures after which random genomes avoid a species
N_IMMIGRANTS = 2  # random organisms per generation; fewer if the population is smaller than 4
N_CHAMPIONS = 3
CROSS_BELOW, MUTANT_BELOW = 0.4, 0.8  # thresholds of a uniform draw that selects an operator
MAX_TRIES = 20  # number of random genomes drawn before a blacklisted species is accepted

_Number = TypeVar("_Number", int, float)

HEAD_COUNTS = (8, 4, 2, 1)
STEP_CHANGES = (-500, -250, -100, 100, 250, 500)
MUTATED_STEPS = (100, 2000)
TUNED_STEPS, TUNED_LR = (100, 3000), (1e-4, 0.05)
GROWN_CONTEXTS = (12, 16, 24, 32)

Values = Mapping[str, tuple[float, ...]]  # allowed values per gene; for lr, the range of log10(lr)

NORMAL: Values = {
    "n_embd": (8, 12, 16, 20, 24, 32),
    "block_size": (8, 12, 16, 24),
    "n_layer": (1, 2, 3),
    "n_head": (1, 2, 4),
    "n_ff_exp": (1, 2, 3, 4),
    "steps": (200, 300, 500, 750, 1000, 1500),
    "lr": (-3.0, -1.3),
}
WIDE: Values = {  # used in a cataclysm, the restart after long stagnation
    "n_embd": (8, 16, 24, 32, 48, 64),
    "block_size": (8, 12, 16, 24, 32),
    "n_layer": (1, 2, 3, 4, 5, 6),
    "n_head": (1, 2, 4, 8),
    "n_ff_exp": (1, 2, 3, 4, 5, 6),
    "steps": (300, 500, 1000, 1500, 2000, 3000),
    "lr": (-4.0, -1.0),
}
MUTATED: Values = {**NORMAL, "n_layer": (1, 2, 3, 4)}  # values drawn by `mutate`, except for steps


def random_genome(rng: Random, space: Values = NORMAL) -> Genome:
    """Draw each gene independently from `space`; change n_head if it does not divide n_embd."""
    return _with_fitting_heads({gene: _draw(gene, space, rng) for gene in GENES})


def mutate(genome: Genome, rng: Random) -> Genome:
    """Return a copy with one to three mutations; a gene can be mutated more than once."""
    genes = values_of(genome, GENES)
    for _ in range(rng.randint(1, 3)):
        gene = rng.choice(GENES)
        if gene == "steps":
            genes[gene] = _clamp(genes[gene] + rng.choice(STEP_CHANGES), MUTATED_STEPS)
        else:
            genes[gene] = _draw(gene, MUTATED, rng)
    return _with_fitting_heads(genes)


def crossover(a: Genome, b: Genome, rng: Random) -> Genome:
    """Draw each of GENES from a or b, and change n_head if it does not divide n_embd."""
    return _with_fitting_heads({gene: getattr(rng.choice((a, b)), gene) for gene in GENES})


def fine_tune(genome: Genome, rng: Random) -> Genome:
    """Return a copy with another learning rate or step count, or with smaller changes to both."""
    lr, steps = genome.lr, genome.steps
    match rng.randrange(3):
        case 0:
            return replace(genome, lr=_clamp(lr * rng.uniform(0.7, 1.3), TUNED_LR))
        case 1:
            return replace(genome, steps=_clamp(steps + rng.randint(-200, 200), TUNED_STEPS))
        case _:
            lr = _clamp(lr * rng.uniform(0.8, 1.2), TUNED_LR)
            return replace(genome, lr=lr, steps=_clamp(steps + rng.randint(-100, 100), TUNED_STEPS))


def grow(genome: Genome, rng: Random) -> Genome:
    """Return a copy with more layers, more heads, a longer context or a wider MLP.

    A gene at its upper limit is left unchanged. If n_head cannot be doubled, a layer is added.
    """
    gene = rng.choice(("n_layer", "n_head", "block_size", "n_ff_exp"))
    n_head = 2 * genome.n_head
    if gene == "n_head" and genome.n_embd % n_head == 0 and n_head <= LIMITS["n_head"][1]:
        return replace(genome, n_head=n_head)
    if gene == "block_size":
        longer = [length for length in GROWN_CONTEXTS if length > genome.block_size]
        return replace(genome, block_size=min(longer, default=genome.block_size))
    gene = "n_layer" if gene == "n_head" else gene
    return replace(genome, **{gene: _clamp(getattr(genome, gene) + 1, LIMITS[gene])})


def _with_fitting_heads(genes: dict[str, Any]) -> Genome:
    """Build a genome; if n_head does not divide n_embd, use the largest head count that does."""
    if genes["n_embd"] % genes["n_head"]:
        genes["n_head"] = next(n_head for n_head in HEAD_COUNTS if genes["n_embd"] % n_head == 0)
    return Genome(**genes)


def _draw(gene: str, space: Values, rng: Random) -> float:
    return 10 ** rng.uniform(*space["lr"]) if gene == "lr" else rng.choice(space[gene])


def _clamp(value: _Number, limits: tuple[_Number, _Number]) -> _Number:
    return min(max(value, limits[0]), limits[1])


class LossSearch(Population):
    """A population that minimizes a loss."""

    random_genome = staticmethod(random_genome)

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
        self._note_progress(ranked[0].fitness)
        return ranked

    def _note_failures(self, generation: Sequence[Organism]) -> None:
        """Count losses above the failure threshold per species; elites were counted before."""
        new = [o for o in generation if o.has_finished and o.origin != "elite"]
        if new:
            self._values += [organism.fitness for organism in new]
            threshold = loser_threshold(self._fitness, self._values)
            self.failures.update(o.genome.species for o in new if o.fitness > threshold)

    def _note_progress(self, best: float) -> None:
        """Update the number of generations without a lower fitness.

        In evolve-rust, any change counts as progress, even that of an elite that a championship
        evaluates again with a new seed. For this reason, evolve-rust never reaches a cataclysm.
        """
        if self._best is not None:
            has_gained = best < math.inf and best <= self._best - PROGRESS
            self.stagnation = 0 if has_gained else self.stagnation + 1
        self._best = best

    def _children(self) -> list[Organism]:
        """Return the next generation; organisms without a finite fitness have no offspring."""
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
            crossed = crossover(parent.genome, other.genome, self.rng)
            return child(mutate(crossed, self.rng), "cross", parent, other)
        genome = mutate(parent.genome, self.rng)
        if draw < MUTANT_BELOW:
            return child(genome, "mutant", parent)
        return child(mutate(genome, self.rng), "hyper", parent)

    def _championship(self, winners: Sequence[Organism]) -> list[Organism]:
        """Return the best genome, offspring of the N_CHAMPIONS best genomes, and an immigrant."""
        rng, size = self.rng, self.size
        best, champions = winners[0], winners[:N_CHAMPIONS]
        children = [child(best.genome, "re-eval", best)]
        if size > 1:
            children.append(child(grow(best.genome, rng), "grown", best))
        for i in range(min(len(champions), size - len(children))):
            a, b = champions[i], champions[(i + 1) % len(champions)]
            crossed = crossover(a.genome, b.genome, rng)
            children.append(child(fine_tune(crossed, rng), "champion", a, b))
        while len(children) < size - 1:
            children.append(child(fine_tune(best.genome, rng), "tuned", best))
        if len(children) < size:
            children.append(self._immigrant())
        return children

    def _cataclysm(self, winners: Sequence[Organism]) -> list[Organism]:
        children = [child(best.genome, "re-eval", best) for best in winners[:1]]
        while len(children) < self.size:
            children.append(child(self._unfailed_genome(WIDE), "cataclysm"))
        return children

    def _immigrant(self) -> Organism:
        return child(self._unfailed_genome(NORMAL), "immigrant")

    def _unfailed_genome(self, space: Values) -> Genome:
        """Draw a genome; while its species has failed repeatedly, redraw up to MAX_TRIES times."""
        for _ in range(MAX_TRIES):
            genome = random_genome(self.rng, space)
            if self.failures[genome.species] < MIN_FAILURES:
                return genome
        return random_genome(self.rng, space)


def loser_threshold(fitness: Fitness, values: Sequence[float]) -> float:
    """Return the fitness above which an evaluation counts as a failure of its species.

    For held-out losses, the threshold is the largest value outside the worst quartile.
    """
    if fitness == "last-doc":
        return LAST_DOC_LOSER
    return sorted(values)[-1 - len(values) // 4]
