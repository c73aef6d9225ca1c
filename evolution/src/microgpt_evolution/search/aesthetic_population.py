"""A population that breeds by mutation alone: the two best stay, the others are their mutants.

    colony = Colony(measure="judge", size=12, run_seed=42, rng=Random(42))
    for _ in range(5):
        ranked = colony.tell([evaluate(organism) for organism in colony.to_evaluate()])
        colony.breed()

It is what the aesthetic search is, and what each head of the Hydra is. Here, too, a fitness is the
better the lower: it is a score with its sign turned.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Organism, rank
from microgpt_evolution.search.aesthetic_operators import mutate, random_genome
from microgpt_evolution.search.offspring import Offspring, place

N_ELITES = 2


class AestheticPopulation:
    """A population and its generations.

    Attributes:
        measure: the score that it goes by, a key of `Vote.scores`.
        generation: counted from 1.
        organisms: the generation at hand, in the order of its slots; ranked, once it was told of.
    """

    def __init__(
        self,
        *,
        measure: str,
        size: int,
        run_seed: int,
        rng: Random,
        first_slot: int = 1,
        ancestor: Genome | None = None,
    ) -> None:
        """Make the first generation: random, or up to half of it an ancestor and its mutants.

        Args:
            measure: see `AestheticPopulation`.
            size: of the population.
            run_seed: of the run; the seeds of the trainings come from it.
            rng: what all breeding draws from.
            first_slot: so that no two colonies of a run share a seed.
            ancestor: what comes first.
        """
        self.measure, self.generation = measure, 1
        self._size, self._run_seed, self._rng, self._first_slot = size, run_seed, rng, first_slot
        children = [Offspring(ancestor, "genome")] if ancestor else []
        while ancestor and len(children) < size // 2:
            children.append(Offspring(mutate(ancestor, rng), "mutant"))
        while len(children) < size:
            children.append(Offspring(random_genome(rng), "random"))
        self.organisms = self._placed(children)

    def to_evaluate(self) -> list[Organism]:
        """Return the organisms of the generation of which nothing is known yet."""
        return [organism for organism in self.organisms if organism.evaluation is None]

    def tell(self, evaluations: Sequence[Evaluation]) -> list[Organism]:
        """Return the generation, ranked.

        Args:
            evaluations: of the organisms to evaluate, in their order.
        """
        news = iter(evaluations)
        known = [
            replace(organism, evaluation=self.seen(organism.evaluation or next(news)))
            for organism in self.organisms
        ]
        self.organisms = rank(known)
        return self.organisms

    def seen(self, evaluation: Evaluation) -> Evaluation:
        """Return an evaluation as this colony sees it, whoever has had it made."""
        if evaluation.vote is None:
            return evaluation
        return replace(evaluation, fitness=-evaluation.vote.scores[self.measure])

    def breed(self) -> None:
        """Replace all but the two best by mutants of these; if nothing has finished, all anew."""
        elites = [o for o in self.organisms[:N_ELITES] if o.has_finished]
        children = [Offspring.same(elite, "elite") for elite in elites]
        while len(children) < self._size:
            if elites:
                parent = self._rng.choice(elites)
                children.append(Offspring(mutate(parent.genome, self._rng), "mutant", (parent,)))
            else:
                children.append(Offspring(random_genome(self._rng), "random"))
        self._settle(children)

    def receive(self, children: Sequence[Offspring]) -> None:
        """Begin a generation in which others have taken the place of the worst."""
        stay = self.organisms[: self._size - len(children)]
        self._settle([*(Offspring.same(organism, "elite") for organism in stay), *children])

    def _settle(self, children: Sequence[Offspring]) -> None:
        self.generation += 1
        self.organisms = self._placed(children)

    def _placed(self, children: Sequence[Offspring]) -> list[Organism]:
        return place(children, self.generation, self._run_seed, first_slot=self._first_slot)
