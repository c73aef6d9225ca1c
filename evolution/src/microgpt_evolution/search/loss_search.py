"""Loss search with an ask-and-tell interface, a stagnation schedule and a blacklist.

search = LossSearch(size=8, fitness="held-out", seed=42)
for _ in range(10):
    ranked = search.tell([evaluate(organism) for organism in search.ask()])
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import Fitness, loser_threshold
from microgpt_evolution.organism import Evaluation, Organism, tournament
from microgpt_evolution.search.population import Population, child, kept

# During stagnation: breed only from the best organisms, then restart with random genomes.
StagnationStage = Literal["normal", "championship", "cataclysm"]

CHAMPIONSHIP_AFTER = 2  # number of generations without progress before a championship
CATACLYSM_AFTER = 4
PROGRESS = 1e-8  # minimum improvement; smaller gains may be rounding errors
MIN_FAILURES = 2  # of a species, before random genomes avoid it
N_IMMIGRANTS = 2  # random organisms per generation; fewer in a population of less than four
N_CHAMPIONS = 3
CROSS_BELOW, MUTANT_BELOW = 0.4, 0.8  # thresholds for the uniform draw that selects the operator
MAX_TRIES = 20  # number of random genomes drawn before a blacklisted species is accepted


@dataclass(frozen=True)
class StagnationSchedule:
    """Number of generations without progress, which determines the breeding stage."""

    stagnation: int = 0  # number of generations without progress
    best: float | None = None  # best fitness of the last generation

    def after(self, best: float) -> "StagnationSchedule":
        """Return the schedule updated with the best fitness of a generation.

        Only a lower fitness counts as progress. In evolve-rust, any change does; its championships
        re-evaluate the elite, which changes the fitness, so it never reaches a cataclysm.
        """
        if self.best is None:
            return StagnationSchedule(0, best)
        has_gained = best < math.inf and best <= self.best - PROGRESS
        return StagnationSchedule(0 if has_gained else self.stagnation + 1, best)

    @property
    def stage(self) -> StagnationStage:
        """The breeding stage for the next generation."""
        if self.stagnation >= CATACLYSM_AFTER:
            return "cataclysm"
        return "championship" if self.stagnation >= CHAMPIONSHIP_AFTER else "normal"

    def after_breeding(self) -> "StagnationSchedule":
        """Return the schedule after breeding; a cataclysm resets the counter."""
        return StagnationSchedule(0, self.best) if self.stage == "cataclysm" else self


@dataclass(frozen=True)
class Blacklist:
    """The failed evaluations so far."""

    fitness: Fitness
    values: tuple[float, ...] = ()  # fitness of all finished evaluations
    failures: tuple[str, ...] = ()  # species of each failed evaluation

    def after(self, generation: Sequence[Organism]) -> "Blacklist":
        """Return the blacklist updated with a generation; elites are counted only once."""
        new = [o for o in generation if o.has_finished and o.origin != "elite"]
        if not new:
            return self
        values = (*self.values, *(organism.fitness for organism in new))
        threshold = loser_threshold(self.fitness, values)
        failed = (o.genome.species for o in new if o.fitness > threshold)
        return Blacklist(self.fitness, values, (*self.failures, *failed))

    @property
    def species(self) -> tuple[str, ...]:
        """The species with at least two failures."""
        return tuple(name for name, n in Counter(self.failures).items() if n >= MIN_FAILURES)


class LossSearch(Population):
    """A population bred by tournament selection, with a stagnation schedule and a blacklist."""

    def __init__(self, *, fitness: Fitness, **options: Any) -> None:
        """Create the first generation; see `Population` for the options."""
        super().__init__(**options)
        founder = (self.organisms[0].id,)  # of the mutants in a warm start
        self.organisms = [
            replace(o, parents=founder) if o.origin == "mutant" else o for o in self.organisms
        ]
        self.schedule = StagnationSchedule()
        self.blacklist = Blacklist(fitness)
        self.stage: StagnationStage = "normal"  # in which the current generation was bred

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
        winners = [organism for organism in self.organisms if organism.has_finished]
        if self.stage == "cataclysm":
            return self._cataclysm(winners)
        if not winners:
            return [self._immigrant() for _ in self.organisms]
        breed = self._championship if self.stage == "championship" else self._normal
        return breed(winners)

    def _normal(self, winners: Sequence[Organism]) -> list[Organism]:
        children = [kept(winners[0], "elite")]
        children += [self._immigrant() for _ in range(min(N_IMMIGRANTS, self.size - 2))]
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
        """Return the best genome, offspring of the three best genomes, and an immigrant."""
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
            if genome.species not in self.blacklist.species:
                return genome
        return draw(self.rng)
