"""Loss search with an ask and tell interface.

search = LossSearch(population=8, fitness="held-out", seed=42)
for _ in range(10):
    ranked = search.tell([evaluate(organism) for organism in search.ask()])
"""

from collections.abc import Sequence
from random import Random

from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.fitness import Fitness
from microgpt_evolution.population import Evaluation, Organism, Population
from microgpt_evolution.search.blacklist import Blacklist
from microgpt_evolution.search.genome_operators import EVOLVE_RUST, Operators
from microgpt_evolution.search.loss_breeding import first_generation, next_generation
from microgpt_evolution.search.stagnation import StagnationSchedule, StagnationStage


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
        self._rng, self._seed, self._operators = Random(seed), seed, operators
        super().__init__(
            first_generation(
                population, run_seed=seed, rng=self._rng, ancestor=ancestor, operators=operators
            )
        )
        self.schedule = StagnationSchedule()
        self.blacklist = Blacklist(fitness)
        self.stage: StagnationStage = "normal"

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

    def breed(self) -> None:
        """Replace the population with the next generation, and set `stage`."""
        self.stage = self.schedule.stage
        self.organisms = next_generation(
            self.stage,
            self.organisms,
            run_seed=self._seed,
            rng=self._rng,
            blacklisted=self.blacklist.species,
            operators=self._operators,
        )
        self.schedule = self.schedule.after_breeding()
