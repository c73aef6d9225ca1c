"""Population of the aesthetic search: two elites and their mutants, without crossover.

    population = AestheticPopulation(measure="judge", size=12, run_seed=42, rng=Random(42))
    for _ in range(5):
        ranked = population.tell([evaluate(organism) for organism in population.ask()])

The aesthetic search has one such population; the Hydra has one per head. The fitness is the
negated score.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Offspring, Population, place
from microgpt_evolution.search.aesthetic_operators import mutate, random_genome
from microgpt_evolution.search.genome_operators import Operators

JUDGE = "judge"  # the score that the aesthetic search maximises
N_ELITES = 2


class AestheticPopulation(Population):
    """A population that maximises one of the scores in `NameScores.scores`."""

    n_elites = N_ELITES

    def __init__(
        self,
        *,
        measure: str,
        size: int,
        run_seed: int,
        rng: Random,
        first_slot: int = 1,
        ancestor: Genome | None = None,
        operators: Operators | None = None,
    ) -> None:
        """Create random organisms; with an ancestor, half are the ancestor and its mutants."""
        self._random = operators.random if operators else random_genome
        self._mutate = operators.mutate if operators else mutate
        self.measure = measure
        self._size, self._run_seed, self._rng, self._first_slot = size, run_seed, rng, first_slot
        children = [Offspring(ancestor, "genome")] if ancestor else []
        while ancestor and len(children) < size // 2:
            children.append(Offspring(self._mutate(ancestor, rng), "mutant"))
        first = operators.first if operators else ()
        children += [Offspring(genome, "genome") for genome in first][: size - len(children)]
        while len(children) < size:
            children.append(Offspring(self._random(rng), "random"))
        super().__init__(place(children, 1, run_seed, first_slot=first_slot))

    def seen(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation with its fitness set to the negated score of this population."""
        if evaluation.scores is None:
            return evaluation
        return replace(evaluation, fitness=-evaluation.scores.scores[self.measure])

    def breed(self) -> None:
        """Keep the finished elites and add their mutants; without elites, add random organisms."""
        elites = [o for o in self.organisms[:N_ELITES] if o.has_finished]
        children = [Offspring.same(elite, "elite") for elite in elites]
        while len(children) < self._size:
            if elites:
                parent = self._rng.choice(elites)
                children.append(
                    Offspring(self._mutate(parent.genome, self._rng), "mutant", (parent,))
                )
            else:
                children.append(Offspring(self._random(self._rng), "random"))
        self._replace(children)

    def receive(self, children: Sequence[Offspring]) -> None:
        """Start a new generation in which the children replace the worst organisms."""
        stay = self.organisms[: self._size - len(children)]
        self._replace([*(Offspring.same(organism, "elite") for organism in stay), *children])

    def _replace(self, children: Sequence[Offspring]) -> None:
        self.organisms = place(
            children, self.generation + 1, self._run_seed, first_slot=self._first_slot
        )
