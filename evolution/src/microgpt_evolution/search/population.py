"""A population of genomes that is bred generation by generation.

Subclasses implement breeding. The caller evaluates the organisms that `ask` returns, and passes the
evaluations to `tell`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from microgpt_evolution.genome import Genome
from microgpt_evolution.organism import Evaluation, Organism, Provenance, rank, training_seed
from microgpt_evolution.search.genome_operators import EVOLVE_RUST, Operators

N_FINALISTS = 3
POPULATION = "champion"  # name, in reports, of the only population of a search


def child(genome: Genome, origin: Provenance, *parents: Organism) -> Organism:
    """Return a new organism; `_placed` sets its generation, slot and seed."""
    return Organism(genome, origin, parents=tuple(parent.id for parent in parents))


def kept(organism: Organism, origin: Provenance) -> Organism:
    """Return a copy of an evaluated organism for the next generation, a child of the original."""
    return replace(organism, origin=origin, parents=(organism.id,))


class Population(ABC):
    """A population and its breeding. A search may consist of a single population."""

    default_operators = EVOLVE_RUST
    n_elites = 1  # number of organisms copied to the next generation with their evaluation
    n_finalists = N_FINALISTS  # maximum number of organisms in the retest

    def __init__(
        self,
        size: int,
        *,
        seed: int,
        operators: Operators | None = None,
        measure: str | None = None,
        ancestor: Genome | None = None,
        rng: Random | None = None,
        first_slot: int = 1,
    ) -> None:
        """Create the first generation.

        If there is an ancestor, the ancestor and its mutants form half of the generation. Then come
        the first genomes of the operators. The remaining genomes are random.

        Args:
            ancestor: genome of a warm start.
            first_slot: slot of the first organism; several populations have consecutive slots.
            seed: seed of the run, from which the seeds of the training runs are derived.
            operators: operators of a space; None for the default ones.
            measure: the score in `NameScores.scores` to maximise; None to minimise the loss.
            rng: random generator, if other populations share it.
        """
        self.size, self.rng, self.measure = size, rng or Random(seed), measure
        self.operators = operators = operators or self.default_operators
        self._seed, self._first_slot = seed, first_slot
        self.generations: list[list[Organism]] = []  # evaluated generations, each ranked
        children = [child(ancestor, "genome")] if ancestor else []
        while ancestor and len(children) < size // 2:
            children.append(child(operators.mutate(ancestor, self.rng), "mutant"))
        first = [child(genome, "genome") for genome in operators.first]
        children += first[: size - len(children)]
        while len(children) < size:
            children.append(child(operators.random(self.rng), "random"))
        # The current generation in slot order; ranked after `tell`.
        self.organisms = self._placed(children, generation=1)

    @property
    def generation(self) -> int:
        """The current generation number, counted from 1."""
        return self.organisms[0].generation

    @property
    def stagnation(self) -> int | None:
        """The number of generations without improvement, or None if this number is not tracked."""
        return None

    @property
    def populations(self) -> Mapping[str, "Population"]:
        """The populations of the search, by name."""
        return {POPULATION: self}

    def ask(self) -> list[Organism]:
        """Return the organisms to evaluate; breed first if this generation has been evaluated."""
        if self.generations and self.organisms is self.generations[-1]:
            self.breed()
        return [organism for organism in self.organisms if organism.evaluation is None]

    def tell(self, evaluations: Sequence[Evaluation]) -> list[Organism]:
        """Assign the evaluations, in the order of `ask`, and return the ranked population."""
        # `ask` does not breed here, because this generation is not in self.generations yet.
        told = {o.slot: e for o, e in zip(self.ask(), evaluations, strict=True)}
        evaluated = [
            replace(o, evaluation=self.seen(o.evaluation or told[o.slot])) for o in self.organisms
        ]
        self.organisms = rank(evaluated)
        self.generations.append(self.organisms)
        return self.organisms

    def breed(self) -> None:
        """Replace the current generation with the next generation."""
        self.organisms = self._placed(self._children(), self.generation + 1)

    @abstractmethod
    def _children(self) -> list[Organism]:
        """Return the next generation."""

    def finalists(self) -> list[Organism]:
        """Return the best `n_finalists` organisms of all generations, with distinct genomes."""
        best: dict[Genome, Organism] = {}
        for organism in rank([o for ranked in self.generations for o in ranked if o.has_finished]):
            best.setdefault(organism.genome, organism)
        return list(best.values())[: self.n_finalists]

    def seen(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation with `fitness` set to the value that this population minimises."""
        if self.measure is None or evaluation.scores is None:
            return evaluation
        return replace(evaluation, fitness=-evaluation.scores.scores[self.measure])

    def _placed(self, children: Sequence[Organism], generation: int) -> list[Organism]:
        """Return the children with slots in order, and with new seeds unless already evaluated."""
        return [
            replace(
                each,
                generation=generation,
                slot=slot,
                seed=each.seed if each.evaluation else training_seed(self._seed, generation, slot),
            )
            for slot, each in enumerate(children, start=self._first_slot)
        ]
