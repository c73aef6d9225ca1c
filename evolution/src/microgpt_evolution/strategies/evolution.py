"""An evolutionary search from its first trial to its last.

The strategy asks for the primordial genome, if the target depends on it; for generations of a
population or of the Hydra; for the finalists with more seeds; and for the winner with fresh seeds.

    search = Evolution(LossSearch(size=8, fitness="held-out", seed=42), 10, seed=42)
    while search.stage != "ended":
        search.tell([evaluate(trial) for trial in search.ask()])
    print(search.winner)
"""

from collections.abc import Callable, Generator, Sequence
from typing import Literal

from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.strategies.hydra import Hydra
from microgpt_evolution.strategies.population import Finalist, Organism, Population
from microgpt_evolution.trial import FRESH, RETEST, Evaluation, Trial, training_seed

Stage = Literal["primordial", "generation", "finalists", "fresh", "ended"]
Course = Generator[tuple[Stage, Callable[[], Sequence[Trial]]], Sequence[Evaluation], None]
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
        """Prepare a search, whose target may depend on the primordial genome."""
        self.breeding, self.n_generations, self._seed = breeding, n_generations, seed
        self.primordial: float | None = None
        self.finalists: list[Finalist] = []
        self.winner: Finalist | None = None
        self.fresh: list[Evaluation] = []
        self._n_left = n_generations  # generations that have not been evaluated
        self._course = self._run(has_target)
        self.stage, self._ask = next(self._course)

    def ask(self) -> Sequence[Trial]:
        """Return the next trials; there are none if a generation has only elites."""
        return self._ask()

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Assign the evaluations, in the order of `ask`."""
        self.stage, self._ask = self._course.send(evaluations)

    def _run(self, has_target: bool) -> Course:
        """Yield each stage with what it asks for, and receive the evaluations."""
        if has_target:
            primordial = Trial(PRIMORDIAL, training_seed(self._seed, 0, 0), "g0-0", "primordial")
            (found,) = yield "primordial", lambda: [primordial]
            self.primordial = found.fitness
        while self._n_left:
            self.breeding.tell((yield "generation", self.breeding.ask))
            self._n_left -= 1
        if organisms := self.breeding.finalists():
            again = iter((yield "finalists", lambda: self._retests(organisms)))
            for organism in organisms:
                assert organism.evaluation
                more = [next(again) for _ in range(N_REPEATS)]
                succeeded = (each for each in more if each.is_ok)
                self.finalists.append(Finalist(organism, (organism.evaluation, *succeeded)))
            self.winner = self.breeding.choose(self.finalists)
            fresh = yield "fresh", self._fresh_trials
            self.fresh = [each for each in fresh if each.is_ok]
        yield "ended", list

    def _retests(self, organisms: Sequence[Organism]) -> list[Trial]:
        return [
            Trial(each.genome, self._repeat(each, i), f"{each.id}-again{i}", RETEST, (each.id,))
            for each in organisms
            for i in range(1, N_REPEATS + 1)
        ]

    def _fresh_trials(self) -> list[Trial]:
        """Return the trials of the winner, if there is one; the first has the search's seed."""
        if not self.winner:
            return []
        winner = self.winner.organism
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
        n_left = self._n_left - (self.stage == "generation")
        n_bred = sum(
            max(each.size - each.n_elites, 0) for each in self.breeding.populations.values()
        )
        return n_left * n_bred + self.breeding.n_finalists * N_REPEATS + N_FRESH
