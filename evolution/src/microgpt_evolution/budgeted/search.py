"""Search with a surrogate: train the organisms that promise the lowest losses.

    search = surrogate_search(space, [rule], budget, cost, seed=42)
    runs = next(search)
    while True:
        runs = search.send([train(organism, until) for organism, until in runs])

The first generation consists of the given genomes and mutants of them. Later, a `Surrogate`
predicts the final losses of many mutants and crossings of the best organisms, and of the organisms
whose training has paused. The most promising of all are trained up to their next rung.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from random import Random
from typing import NamedTuple

from microgpt_evolution.budgeted.contestant import Contestant, Origin
from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.budgeted.objective import EVALUATIONS
from microgpt_evolution.budgeted.surrogate import Surrogate
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.seeds import training_seed
from microgpt_evolution.space import Space

# The number of organisms per generation: between these, and at most a quarter of the number of
# complete training runs that the budget allows. Any number of workers find the same winner.
SMALLEST, LARGEST = 4, 8
N_CANDIDATES = 100  # number of genomes to choose from
N_PARENTS = 4
CROSS = 0.2  # probability that a candidate has two parents
N_MUTATIONS = (1, 1, 2, 3)  # drawn with equal probability
MAX_DRAWS = 1000


class Run(NamedTuple):
    """A part of a training run: train an organism up to an evaluation."""

    organism: Contestant
    until: int


Losses = Sequence[Sequence[float]]  # new losses of each run; infinity if training diverged
Cost = Callable[[BudgetedGenome, int], float]  # operations for a number of evaluations


def surrogate_search(
    space: Space,
    first: Sequence[BudgetedGenome],
    budget: float,
    cost: Cost,
    *,
    accepts: Callable[[BudgetedGenome], bool] = lambda genome: True,
    seed: int,
) -> Generator[Sequence[Run], Losses, None]:
    """Yield the runs of each generation until the budget is spent.

    Args:
        first: genomes of the first generation, which also has mutants of them.
        budget: number of operations.
        accepts: whether a genome may be trained.
        seed: seed of the search, from which those of the training runs are derived.

    Raises:
        GenomeError: no genome is accepted.
    """
    breeding = Breeding(space, first, accepts, Random(seed))
    n_complete = budget / cost(first[0], EVALUATIONS)
    size = max(len(first), min(LARGEST, max(SMALLEST, int(n_complete / 4))))
    organisms: dict[str, Contestant] = {}
    generation = 1
    chosen: Iterable[Contestant] = breeding.founders(size)
    while True:
        runs: list[Run] = []
        for organism in chosen:
            n, until = len(organism.losses), organism.next_rung
            if cost(organism.genome, EVALUATIONS - n) > budget:  # it could not be completed
                continue
            budget -= cost(organism.genome, until - n)
            if organism.id not in organisms:
                slot = len(runs) + 1
                id, run_seed = f"g{generation}-{slot}", training_seed(seed, generation, slot)
                organism = replace(organism, id=id, seed=run_seed)
            runs.append(Run(organism, until))
            if len(runs) == size:
                break
        if not runs:
            return
        losses = yield runs
        for (organism, _), new in zip(runs, losses, strict=True):
            organisms[organism.id] = replace(organism, losses=(*organism.losses, *new))
        generation += 1
        chosen = most_promising(space, breeding, [*organisms.values()])


def most_promising(
    space: Space, breeding: "Breeding", organisms: Sequence[Contestant]
) -> Iterator[Contestant]:
    """Yield candidates and organisms whose training has paused, the most promising first.

    The next one is chosen as if the last one had its expected loss.
    """
    surrogate = Surrogate(space, organisms)
    expected = [prediction.mean for prediction in surrogate.predict(organisms)]
    ranked = sorted(range(len(organisms)), key=expected.__getitem__)
    pool = [organism for organism in organisms if not organism.has_ended]
    pool += breeding.candidates([organisms[i] for i in ranked[:N_PARENTS]], organisms)
    while pool:
        promises = [each.mean - each.deviation for each in surrogate.predict(pool)]
        best = pool.pop(promises.index(min(promises)))
        yield best
        surrogate = surrogate.expecting(best)


class Breeding:
    """Makes new organisms, which get their id and seed when they are chosen."""

    def __init__(
        self,
        space: Space,
        first: Sequence[BudgetedGenome],
        accepts: Callable[[BudgetedGenome], bool],
        rng: Random,
    ) -> None:
        self._space, self._first, self._accepts, self._rng = space, first, accepts, rng

    def founders(self, n: int) -> list[Contestant]:
        """Return the given genomes and mutants of them.

        Raises:
            GenomeError: no genome is accepted.
        """
        given = [Contestant("", genome, "given", (), 0) for genome in self._first]
        found = self._accepted(chain(given, self._draws(given)), n)
        if not found:
            raise GenomeError(
                "no genome of the space is small enough; increase --max-weights or --max-memory"
            )
        return [replace(each, parents=()) for each in found]

    def candidates(
        self, parents: Sequence[Contestant], organisms: Sequence[Contestant]
    ) -> list[Contestant]:
        """Return mutants of the parents and of their crossings.

        Their genomes are not those of organisms, unless the space has no others.
        """
        known = {organism.genome for organism in organisms}
        draws = self._draws(parents)
        return self._accepted(draws, N_CANDIDATES, known) or self._accepted(draws, N_CANDIDATES)

    def _accepted(
        self, draws: Iterator[Contestant], n: int, known: Iterable[BudgetedGenome] = ()
    ) -> list[Contestant]:
        """Return accepted organisms with different genomes, n at most."""
        found: dict[BudgetedGenome, Contestant] = {}
        for organism in islice(draws, MAX_DRAWS):
            if organism.genome not in known and self._accepts(organism.genome):
                found.setdefault(organism.genome, organism)
            if len(found) == n:
                break
        return [*found.values()]

    def _draws(self, parents: Sequence[Contestant]) -> Iterator[Contestant]:
        """Yield mutants of the parents and of their crossings, without end."""
        space, rng = self._space, self._rng
        for n in count():
            is_cross = len(parents) > 1 and rng.random() < CROSS
            of = rng.sample(parents, 2 if is_cross else 1)
            genome = of[0].genome
            origin: Origin = "cross" if is_cross else "mutant"
            if is_cross:
                genome = space.crossover(genome, of[1].genome, rng)
            for _ in range(rng.choice(N_MUTATIONS)):
                genome = space.mutate(genome, rng)
            ids = tuple(parent.id for parent in of)
            yield Contestant(f"draw {n}", genome, origin, ids, seed=0)
