"""Search with a surrogate model: train the organisms with the highest expected improvement.

The first generation consists of the given genomes and their mutants. For each later generation, a
`Surrogate` predicts the final losses of mutants and crossovers of the best organisms, and of
organisms whose training has paused. The most promising organisms are trained up to the next rung.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from random import Random

from microgpt_evolution.evolution_errors import GenomeError
from microgpt_evolution.genome import Genome, Space
from microgpt_evolution.strategies.gaussian_process import Surrogate
from microgpt_evolution.trial import EVALUATIONS, Contestant, training_seed

# Number of organisms per generation: LARGEST if the budget suffices to train four such generations
# completely, else SMALLEST. The number of workers has no influence.
SMALLEST, LARGEST = 4, 8
MAX_FITTED = 150  # the surrogate is fitted to at most this number of organisms, the best ones
N_CANDIDATES = 100  # number of new genomes from which each generation is chosen
N_PARENTS = 4
CROSS = 0.2  # probability that a candidate has two parents
N_MUTATIONS = (1, 1, 2, 3)  # numbers of mutations of a candidate, drawn with equal probability
MAX_DRAWS = 1000


class SurrogateSearch:
    """A search with a surrogate: its organisms, and the remaining budget.

    See `budgeted_search` for its use: it trains what `ask` returns, and passes losses to `tell`.
    """

    def __init__(
        self,
        space: Space,
        first: Sequence[Genome],  # given genomes; mutants complete the first generation
        budget: float,  # number of operations of the search
        cost: Callable[[Genome, int], float],  # number of operations needed for n evaluations
        *,
        n_finalists: int = 1,  # number of organisms whose complete training is budgeted in advance
        accepts: Callable[[Genome], bool] = lambda genome: True,  # whether a genome can be trained
        seed: int,
    ) -> None:
        n_complete = budget / cost(first[0], EVALUATIONS)
        size = LARGEST if n_complete >= 4 * LARGEST else SMALLEST
        self.size = max(size, len(first))  # maximum number of organisms per generation
        self.space, self.budget, self.cost, self.n_finalists = space, budget, cost, n_finalists
        self.organisms: dict[str, Contestant] = {}
        self.generation = 0
        self._first, self._accepts, self._seed, self._rng = first, accepts, seed, Random(seed)
        self._asked: list[Contestant] = []

    @property
    def ranked(self) -> list[Contestant]:
        """The organisms that have a finite loss, sorted by loss in ascending order."""
        finite = [each for each in self.organisms.values() if each.loss < math.inf]
        return sorted(finite, key=lambda each: (each.loss, each.id))

    def ask(self) -> list[Contestant]:
        """Return the organisms to train, each up to its `until`; [] if the budget is spent."""
        self.generation += 1
        self._asked = self._next_generation() if self.organisms else self._first_generation()
        return self._asked

    def tell(self, losses: Sequence[Sequence[float]]) -> None:
        """Add new losses to the organisms of the last `ask`; infinity means diverged training."""
        for organism, new in zip(self._asked, losses, strict=True):
            self.organisms[organism.id] = replace(organism, losses=(*organism.losses, *new))

    def _first_generation(self) -> list[Contestant]:
        """Return organisms with the given genomes and their mutants."""
        given = [Contestant(genome, seed=0, origin="given") for genome in self._first]
        founders = self._accepted(chain(given, self._draws(given)), self.size)
        if not founders:
            raise GenomeError("no genome of the space is small enough; use another one")
        return self._affordable([replace(each, parents=()) for each in founders])

    def _next_generation(self) -> list[Contestant]:
        organisms = sorted(self.organisms.values(), key=lambda each: (each.loss, each.id))
        surrogate = Surrogate(self.space, organisms[:MAX_FITTED])
        losses = [prediction.mean for prediction in surrogate.predict(organisms)]
        ranked = [organisms[i] for i in sorted(range(len(losses)), key=losses.__getitem__)]
        finalists = [each for each in ranked[: self.n_finalists] if not each.has_ended]
        paused = [each for each in ranked if not each.has_ended]
        # Genomes of existing organisms are skipped, unless no other genomes are found.
        trained, draws = {each.genome for each in ranked}, self._draws(ranked[:N_PARENTS])
        new = self._accepted(draws, N_CANDIDATES, trained) or self._accepted(draws, N_CANDIDATES)
        reserved = sum(map(self._price, finalists))
        promising = self._most_promising(surrogate, min(losses), [*paused, *new], reserved)
        return promising or self._affordable(finalists)

    def _accepted(
        self, draws: Iterator[Contestant], n: int, trained: Collection[Genome] = ()
    ) -> list[Contestant]:
        """Return up to n drawn organisms with distinct, accepted genomes, none of them trained."""
        found: dict[Genome, Contestant] = {}
        for organism in islice(draws, MAX_DRAWS):
            if organism.genome not in trained and self._accepts(organism.genome):
                found.setdefault(organism.genome, organism)
            if len(found) == n:
                break
        return [*found.values()]

    def _draws(self, parents: Sequence[Contestant]) -> Iterator[Contestant]:
        """Yield mutants of parents and of their crossovers, with provisional ids and seeds."""
        space, rng = self.space, self._rng
        for n in count():
            origin = "cross" if len(parents) > 1 and rng.random() < CROSS else "mutant"
            first, *others = rng.sample(parents, 2 if origin == "cross" else 1)
            genome = first.genome
            for other in others:
                genome = space.crossover(genome, other.genome, rng)
            for _ in range(rng.choice(N_MUTATIONS)):
                genome = space.mutate(genome, rng)
            ids = tuple(parent.id for parent in (first, *others))
            yield Contestant(genome, 0, f"draw {n}", origin, ids)

    def _most_promising(
        self, surrogate: Surrogate, lowest: float, candidates: Sequence[Contestant], reserved: float
    ) -> list[Contestant]:
        """Return the candidates with the highest expected improvement per operation.

        After each choice, the surrogate treats the chosen candidate's predicted loss as measured.
        """
        chosen: list[Contestant] = []
        while len(chosen) < self.size:
            left = self.budget - reserved
            candidates = [each for each in candidates if self._price(each) <= left]
            if not candidates:
                break
            forecasts = zip(candidates, surrogate.predict(candidates), strict=True)
            promises = [
                forecast.improvement(lowest) / (EVALUATIONS - len(each.losses))
                for each, forecast in forecasts
            ]
            organism = candidates.pop(promises.index(max(promises)))
            chosen.append(self._start_rung(organism, len(chosen) + 1))
            surrogate = surrogate.expecting(organism)
        return chosen

    def _affordable(self, organisms: Sequence[Contestant]) -> list[Contestant]:
        chosen: list[Contestant] = []
        for organism in organisms:
            if self._price(organism) <= self.budget:
                chosen.append(self._start_rung(organism, len(chosen) + 1))
        return chosen

    def _start_rung(self, organism: Contestant, slot: int) -> Contestant:
        """Start an organism's next rung and deduct its cost; give a new organism an id and seed."""
        organism = replace(organism, until=organism.next_rung)
        self.budget -= self.cost(organism.genome, organism.n_evaluations)
        if organism.id in self.organisms:
            return organism
        seed = training_seed(self._seed, self.generation, slot)
        return replace(organism, id=f"g{self.generation}-{slot}", seed=seed)

    def _price(self, organism: Contestant) -> float:
        """Return the number of operations that are needed to complete an organism's training."""
        return self.cost(organism.genome, EVALUATIONS - len(organism.losses))
