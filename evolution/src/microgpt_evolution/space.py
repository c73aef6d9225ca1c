"""The space of a search with a budget: the values of each gene, mutation and crossover."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import BUDGETED_GENES, Gene, Genome

# Relative probability that a gene mutates; 1 for the others. The values that the rule gives these
# were better in most cases (docs/measurements/quality.md), so few mutations should try others.
RATES = {"optimizer": 0.1, "architecture": 0.1}
MORE_GENES = 0.35  # probability to mutate another gene, after each gene
JUMP = 0.25  # probability that a gene moves by two places instead of one
MAX_TRIES = 100  # number of draws before a space without valid mutants is reported


@dataclass(frozen=True)
class Space:
    """The values that each gene may have, in ascending order; genes without values do not vary."""

    values: dict[str, tuple[Gene, ...]]

    def mutate(self, genome: Genome, rng: Random) -> Genome:
        """Return a copy in which one or more genes have a neighbouring value."""
        rates = {gene: RATES.get(gene, 1.0) for gene in self.values if len(self.values[gene]) > 1}
        for _ in range(MAX_TRIES if rates else 0):
            genes: dict[str, Any] = {}
            while not genes or rng.random() < MORE_GENES:
                (gene,) = rng.choices([*rates], [*rates.values()])
                genes[gene] = self._neighbour(gene, getattr(genome, gene), rng)
            mutant = _valid(genome, genes)
            if mutant and mutant != genome:
                return mutant
        raise GenomeError("the space has no other valid genomes; check its values")

    def crossover(self, a: Genome, b: Genome, rng: Random) -> Genome:
        """Return a genome that takes each gene from either parent with equal probability."""
        genes = {gene: getattr(rng.choice((a, b)), gene) for gene in BUDGETED_GENES}
        return _valid(a, genes) or a

    def coordinates(self, genome: Genome) -> list[float]:
        """Return the coordinates of a genome; the values of a gene are spaced evenly in [0, 1]."""
        return [
            self._place(gene, getattr(genome, gene)) / max(1, len(values) - 1)
            for gene, values in self.values.items()
        ]

    def _neighbour(self, gene: str, value: Gene, rng: Random) -> Gene:
        """Return the value one or two places away from the given value."""
        step = rng.choice((-1, 1)) * (2 if rng.random() < JUMP else 1)
        values, place = self.values[gene], self._place(gene, value) + step
        return values[min(max(place, 0), len(values) - 1)]

    def _place(self, gene: str, value: Any) -> int:
        """Return the index of a value or, if it is not in the space, of the closest number."""
        values: tuple[Any, ...] = self.values[gene]
        if value in values:
            return values.index(value)
        return min(range(len(values)), key=lambda i: abs(values[i] - value))


def _valid(genome: Genome, genes: Mapping[str, Any]) -> Genome | None:
    """Return the genome with some genes replaced, or None if they contradict one another."""
    try:
        return replace(genome, **genes)
    except GenomeError:
        return None
