"""Search with successive halving: a generation trains for a while, and its better half trains on.

    search = halving_search(space, [rule], budget, cost, seed=42)
    organisms, until = next(search)
    while True:
        organisms, until = search.send([train(organism, until) for organism in organisms])

This is the inner loop of Hyperband (Li et al. 2018). Each later generation consists of mutants and
crossings of the best organisms that have been trained to the end.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.budgeted.objective import EVALUATIONS
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.seeds import training_seed
from microgpt_evolution.space import Space

RUNGS = (2, 4, EVALUATIONS)  # evaluations at which the worse half of a generation is dropped
N_OFFSPRING = 8  # number of organisms per generation
N_PARENTS = 3
CROSS = 0.3  # probability that an organism has two parents
# Cost of a generation per organism, relative to training all of them to the end.
SHARE_PER_ORGANISM = 0.5
MAX_DRAWS = 100  # number of draws before a genome may be trained twice

Origin = Literal["given", "mutant", "cross"]


@dataclass(frozen=True)
class Contestant:
    """An organism of a budgeted search, with its validation losses so far."""

    id: str  # such as "g3-5": the fifth organism of the third generation
    genome: BudgetedGenome
    origin: Origin
    parents: tuple[str, ...]
    seed: int  # of its training run
    losses: tuple[float, ...] = ()  # in nats per character, one per evaluation

    @property
    def loss(self) -> float:
        """The lowest loss so far; the weights with this loss are kept."""
        return min(self.losses, default=math.inf)

    @property
    def generation(self) -> int:
        """The number of its generation, counted from 1."""
        return int(self.id[1:].partition("-")[0])

    @property
    def is_complete(self) -> bool:
        """Whether its training run has ended with a finite loss."""
        return len(self.losses) == EVALUATIONS and self.loss < math.inf


Request = tuple[Sequence[Contestant], int]  # organisms to train on, up to this evaluation
Losses = Sequence[Sequence[float]]  # new losses of each of them; infinity if training diverged
Cost = Callable[[BudgetedGenome, int], float]  # operations up to a number of evaluations


def halving_search(
    space: Space,
    first: Sequence[BudgetedGenome],
    budget: float,
    cost: Cost,
    *,
    accepts: Callable[[BudgetedGenome], bool] = lambda genome: True,
    seed: int,
) -> Generator[Request, Losses, None]:
    """Yield the organisms to train until the budget is spent.

    Args:
        first: genomes of the first generation, which also has mutants of them.
        budget: number of operations.
        accepts: whether a genome may be trained.
        seed: seed of the search, from which those of the training runs are derived.
    """
    breeding = Breeding(space, first, accepts, Random(seed))
    best: list[Contestant] = []  # trained to the end, the best first
    generation = 0
    while True:
        generation += 1
        price = cost(best[0].genome if best else first[0], EVALUATIONS)
        size = min(N_OFFSPRING, int(budget / price / SHARE_PER_ORGANISM))
        alive = [
            breeding.offspring(best, generation, slot, training_seed(seed, generation, slot))
            for slot in range(1, size + 1)
        ]
        if not alive:
            return
        for until in RUNGS:
            affordable: list[Contestant] = []
            for organism in alive:
                price = cost(organism.genome, until - len(organism.losses))
                if price <= budget:
                    budget -= price
                    affordable.append(organism)
            if not affordable:
                break
            losses = yield affordable, until
            pairs = zip(affordable, losses, strict=True)
            alive = rank([replace(o, losses=(*o.losses, *new)) for o, new in pairs])
            best = rank([*best, *(organism for organism in alive if organism.is_complete)])
            alive = alive[: math.ceil(len(alive) / 2)]


class Breeding:
    """Makes new genomes."""

    def __init__(
        self,
        space: Space,
        first: Sequence[BudgetedGenome],
        accepts: Callable[[BudgetedGenome], bool],
        rng: Random,
    ) -> None:
        self._space, self._first, self._accepts, self._rng = space, first, accepts, rng
        self._known: set[BudgetedGenome] = set()

    def offspring(
        self, best: Sequence[Contestant], generation: int, slot: int, seed: int
    ) -> Contestant:
        """Return an organism: one of the first genomes, a mutant, or a mutant of a crossing."""
        for n_draws in range(2 * MAX_DRAWS):
            genome, origin, parents = self._draw(best, generation, slot, n_draws)
            if self._accepts(genome) and (genome not in self._known or n_draws >= MAX_DRAWS):
                break
        else:
            raise GenomeError(
                "no genome of the space is small enough; increase --max-weights or --max-memory"
            )
        self._known.add(genome)
        ids = tuple(parent.id for parent in parents)
        return Contestant(f"g{generation}-{slot}", genome, origin, ids, seed)

    def _draw(
        self, best: Sequence[Contestant], generation: int, slot: int, n_draws: int
    ) -> tuple[BudgetedGenome, Origin, tuple[Contestant, ...]]:
        space, rng, parents = self._space, self._rng, best[:N_PARENTS]
        if generation == 1 and slot <= len(self._first) and n_draws == 0:
            return self._first[slot - 1], "given", ()
        if not parents:
            return space.mutate(rng.choice(self._first), rng), "mutant", ()
        parent = rng.choice(parents)
        if len(parents) > 1 and rng.random() < CROSS:
            other = rng.choice([each for each in parents if each is not parent])
            crossed = space.crossover(parent.genome, other.genome, rng)
            return space.mutate(crossed, rng), "cross", (parent, other)
        return space.mutate(parent.genome, rng), "mutant", (parent,)


def rank(organisms: Sequence[Contestant]) -> list[Contestant]:
    """Return the organisms without those that diverged, the best first."""
    finite = [organism for organism in organisms if organism.loss < math.inf]
    return sorted(finite, key=lambda organism: (organism.loss, organism.id))
