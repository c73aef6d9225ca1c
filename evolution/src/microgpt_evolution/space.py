"""A space of genomes: the values of each gene, random genomes, mutation and crossover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import dist
from random import Random
from typing import Any, TypeVar

from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import BaseGenome

G = TypeVar("G", bound=BaseGenome)

MORE_GENES = 0.35  # probability to mutate another gene, after each gene
JUMP = 0.25  # probability that a gene moves by two places instead of one
MAX_TRIES = 100  # number of draws before a space without valid genomes is reported


@dataclass(frozen=True)
class Space:
    """The values that each gene may have; genes without values keep those of the parent."""

    values: Mapping[str, Sequence[Any]]
    rates: Mapping[str, float] = field(default_factory=dict)  # 1 for genes that are not here

    def random(self, genome: G, rng: Random) -> G:
        """Return a genome with random values; genes without values are those of `genome`."""
        for _ in range(MAX_TRIES):
            genes = {gene: rng.choice(values) for gene, values in self.values.items()}
            try:
                return replace(genome, **genes)
            except GenomeError as error:
                problem = error
        raise GenomeError(f"the space has no valid genomes ({problem}); add values that fit")

    def mutate(self, genome: G, rng: Random) -> G:
        """Return a copy in which one or more genes have a neighbouring value."""
        names = [
            gene
            for gene, values in self.values.items()
            if len(values) > 1 and self.rates.get(gene, 1.0) > 0
        ]
        rates = [self.rates.get(gene, 1.0) for gene in names]
        for _ in range(MAX_TRIES if names else 0):
            genes: dict[str, Any] = {}
            while not genes or rng.random() < MORE_GENES:
                (gene,) = rng.choices(names, rates)
                genes[gene] = self._neighbour(gene, getattr(genome, gene), rng)
            mutant = _valid(genome, genes)
            if mutant and mutant != genome:
                return mutant
        raise GenomeError("the space has no other valid genomes; check its values")

    def crossover(self, a: G, b: G, rng: Random) -> G:
        """Return a genome that takes each gene from either parent with equal probability."""
        genes = {gene: getattr(rng.choice((a, b)), gene) for gene in _names(a)}
        return _valid(a, genes) or a

    def closest(self, genome: G) -> G:
        """Return the genome with the closest values of the space.

        If these contradict each other, another value is taken for one gene, or, if there is none,
        the genome is random.
        """
        genes = {gene: self._nearest(gene, getattr(genome, gene)) for gene in self.values}
        changes = [{gene: value} for gene, values in self.values.items() for value in values]
        valid = [found for change in changes if (found := _valid(genome, genes | change))]
        if not valid:
            return self.random(genome, Random(0))
        point = self.coordinates(genome)
        return min(valid, key=lambda each: dist(point, self.coordinates(each)))

    def coordinates(self, genome: G) -> list[float]:
        """Return a point for a genome; the values of a gene have equal distances from 0 to 1."""
        found = []
        for gene, values in self.values.items():
            place = values.index(self._nearest(gene, getattr(genome, gene)))
            found.append(place / max(1, len(values) - 1))
        return found

    def _neighbour(self, gene: str, value: Any, rng: Random) -> Any:
        """Return a value one or two places from the value, or from the closest number."""
        values = self.values[gene]
        step = rng.choice((-1, 1)) * (2 if rng.random() < JUMP else 1)
        place = values.index(self._nearest(gene, value)) + step
        return values[min(max(place, 0), len(values) - 1)]

    def _nearest(self, gene: str, value: Any) -> Any:
        """Return a value of the space: the value itself, the closest number, or the first."""
        values = self.values[gene]
        if value in values:
            return value
        if isinstance(value, str) or isinstance(values[0], str):
            return values[0]
        return min(values, key=lambda each: abs((each or 0) - (value or 0)))


def _names(genome: G) -> list[str]:
    return [field.name for field in fields(genome)]


def _valid(genome: G, genes: Mapping[str, Any]) -> G | None:
    """Return the genome with some genes replaced, or None if they contradict one another."""
    try:
        return replace(genome, **genes)
    except GenomeError:
        return None
