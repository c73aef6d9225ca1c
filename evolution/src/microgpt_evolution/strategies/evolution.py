"""An evolutionary search from its first trial to its last.

The strategy asks for the primordial genome, if the target depends on it; for generations of a
population or of the Hydra; for the finalists with more seeds; and for the winner with fresh seeds.

    search = Evolution(LossSearch(size=8, fitness="held-out", seed=42), 10, seed=42)
    while search.stage != "ended":
        search.tell([evaluate(trial) for trial in search.ask()])
    print(search.winner)
"""

from collections.abc import Sequence
from typing import Literal

from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.strategies.hydra import Hydra
from microgpt_evolution.strategies.population import Finalist, Organism, Population
from microgpt_evolution.trial import FRESH, RETEST, Evaluation, Trial, training_seed

Stage = Literal["primordial", "generation", "finalists", "fresh", "ended"]
N_REPEATS = 2  # number of training runs per finalist, in addition to the run in the search
N_FRESH = 3  # training runs of the winner that do not influence the search


class Evolution:
    """A search by generations.

    Attributes:
        breeding: the population, or the Hydra with one per head.
        stage: of what `ask` returns; "ended" after the last one.
        primordial: fitness of the primordial genome; None if it was not asked for.
        finalists: the best organisms, with the evaluations of all their seeds.
        winner: the best finalist; None before there is one, and if no training run has succeeded.
        fresh: successful evaluations of the winner with seeds that did not choose it.
    """

    def __init__(
        self, breeding: Population | Hydra, n_generations: int, *, seed: int, has_target: bool
    ) -> None:
        """Prepare a search.

        Args:
            has_target: whether the target depends on the fitness of the primordial genome.
        """
        self.breeding, self.n_generations, self._seed = breeding, n_generations, seed
        self.stage: Stage = "primordial" if has_target else "generation"
        self.primordial: float | None = None
        self.finalists: list[Finalist] = []
        self.winner: Finalist | None = None
        self.fresh: list[Evaluation] = []
        self._n_bred = 0  # generations that have been evaluated

    def ask(self) -> Sequence[Trial]:
        """Return the next trials; there are none if a generation has only elites."""
        match self.stage:
            case "primordial":
                seed = training_seed(self._seed, 0, 0)
                return [Trial(PRIMORDIAL, seed, "g0-0", "primordial")]
            case "generation":
                return self.breeding.ask()
            case "finalists":
                return [
                    Trial(o.genome, self._repeat(o, i), f"{o.id}-again{i}", RETEST, (o.id,))
                    for o in self.breeding.finalists()
                    for i in range(1, N_REPEATS + 1)
                ]
            case "fresh" if self.winner:
                return self._fresh_trials(self.winner.organism)
            case _:
                return []

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Assign the evaluations, in the order of `ask`."""
        match self.stage:
            case "primordial":
                self.primordial, self.stage = evaluations[0].fitness, "generation"
            case "generation":
                self.breeding.tell(evaluations)
                self._n_bred += 1
                if self._n_bred == self.n_generations:
                    self.stage = "finalists" if self.breeding.finalists() else "ended"
            case "finalists":
                self._tell_finalists(evaluations)
                self.stage = "fresh"
            case _:
                self.fresh, self.stage = [e for e in evaluations if e.status == "ok"], "ended"

    def _tell_finalists(self, evaluations: Sequence[Evaluation]) -> None:
        """Choose the winner; training runs that fail do not count."""
        again = iter(evaluations)
        for organism in self.breeding.finalists():
            assert organism.evaluation
            more = [next(again) for _ in range(N_REPEATS)]
            succeeded = (each for each in more if each.status == "ok")
            self.finalists.append(Finalist(organism, (organism.evaluation, *succeeded)))
        self.winner = self.breeding.choose(self.finalists)

    def _fresh_trials(self, winner: Organism) -> list[Trial]:
        """Return the trials of the winner; the first has the seed of the search."""
        seeds = [self._seed, *(self._repeat(winner, N_REPEATS + i) for i in range(1, N_FRESH))]
        return [
            Trial(winner.genome, seed, f"{winner.id}-fresh{i}", FRESH, (winner.id,))
            for i, seed in enumerate(seeds, start=1)
        ]

    def _repeat(self, organism: Organism, repeat: int) -> int:
        return training_seed(self._seed, organism.generation, organism.slot, repeat)

    def count_later(self) -> int:
        """Estimate the number of trials after those of the next `ask`, assuming no stagnation."""
        if self.stage in ("finalists", "fresh", "ended"):
            return N_FRESH if self.stage == "finalists" else 0
        n_left = self.n_generations - self._n_bred - (self.stage == "generation")
        populations = self.breeding.populations.values()
        n_bred = sum(max(each.size - each.n_elites, 0) for each in populations)
        return n_left * n_bred + self.breeding.n_finalists * N_REPEATS + N_FRESH
