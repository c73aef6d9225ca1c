"""A search space of genomes: the values of each gene, random genomes, mutation and crossover.

`microgpt evolve --space FILE` reads it from a TOML file:

target = 2.2              # loss or score at which the search is done

[values]                  # numbers in ascending order; genes without values do not vary
n_embd = [16, 32, 64]
lr = [0.001, 0.003, 0.01]

[rates]                   # relative mutation rates; 1 for the other genes
lr = 2

[[first]]                 # genomes of the first generation; other genes are the default ones
n_embd = 64
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import dist
from pathlib import Path
from random import Random
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from microgpt import read
from microgpt_evolution.errors import GenomeError, raised_as
from microgpt_evolution.genome import (
    BUDGETED_GENES,
    BUDGETED_LIMITS,
    GENES,
    LIMITS,
    Gene,
    Genome,
    Limits,
    check_genes,
)

Values = dict[str, Annotated[tuple[Gene, ...], Field(min_length=1)]]
Rates = dict[str, Annotated[float, Field(ge=0)]]

MORE_GENES = 0.35  # probability to mutate another gene, after each gene
JUMP = 0.25  # probability that a gene moves by two places instead of one
MAX_TRIES = 100  # number of draws before a space without valid genomes is reported
OF_SEARCH, BUDGETED = (GENES, LIMITS), (BUDGETED_GENES, BUDGETED_LIMITS)
MAX_BYTES = 2**15  # for a key of as many parts as fit, tomllib takes seconds


class Space(BaseModel):
    """The values that each gene may have; genes without values keep those of the parent."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    target: float | None = None
    values: Values
    rates: Rates = {}  # 1 for genes that are not here
    first: tuple[dict[str, Any], ...] = ()

    def first_genomes(self, genome: Genome) -> list[Genome]:
        """Return the genomes of the first generation; other genes are taken from `genome`."""
        return [replace(genome, **genes) for genes in self.first]

    def random(self, genome: Genome, rng: Random) -> Genome:
        """Return a genome with random values; genes without values are taken from `genome`."""
        for _ in range(MAX_TRIES):
            genes: dict[str, Any] = {
                gene: rng.choice(values) for gene, values in self.values.items()
            }
            try:
                return replace(genome, **genes)
            except GenomeError as error:
                problem = error
        raise GenomeError(f"the space has no valid genomes ({problem}); add compatible values")

    def mutate(self, genome: Genome, rng: Random) -> Genome:
        """Return a copy in which one or more genes have a neighbouring value."""
        varying = (gene for gene, values in self.values.items() if len(values) > 1)
        rates = {gene: rate for gene in varying if (rate := self.rates.get(gene, 1.0)) > 0}
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
        names = BUDGETED_GENES if a.n_tokens else GENES
        genes = {gene: getattr(rng.choice((a, b)), gene) for gene in names}
        return _valid(a, genes) or a

    def closest(self, genome: Genome) -> Genome:
        """Return the genome with the closest values of the space.

        If these values contradict each other, one gene gets a different value or, if none fits, the
        genome is random.
        """
        genes = {gene: self._nearest(gene, getattr(genome, gene)) for gene in self.values}
        changes = [{gene: value} for gene, values in self.values.items() for value in values]
        valid = [found for change in changes if (found := _valid(genome, genes | change))]
        if not valid:
            return self.random(genome, Random(0))
        point = self.coordinates(genome)
        return min(valid, key=lambda each: dist(point, self.coordinates(each)))

    def coordinates(self, genome: Genome) -> list[float]:
        """Return the coordinates of a genome; the values of a gene are spaced evenly in [0, 1]."""
        found = []
        for gene, values in self.values.items():
            place = values.index(self._nearest(gene, getattr(genome, gene)))
            found.append(place / max(1, len(values) - 1))
        return found

    def _neighbour(self, gene: str, value: Any, rng: Random) -> Gene:
        """Return a value one or two positions away from the given value or its closest number."""
        values = self.values[gene]
        step = rng.choice((-1, 1)) * (2 if rng.random() < JUMP else 1)
        place = values.index(self._nearest(gene, value)) + step
        return values[min(max(place, 0), len(values) - 1)]

    def _nearest(self, gene: str, value: Any) -> Any:
        """Return a value of the space: the value itself, the closest number, or the first."""
        values: tuple[Any, ...] = self.values[gene]
        if value in values:
            return value
        if isinstance(value, str) or isinstance(values[0], str):
            return values[0]
        return min(values, key=lambda each: abs(each - value))


def _valid(genome: Genome, genes: Mapping[str, Any]) -> Genome | None:
    """Return the genome with some genes replaced, or None if they contradict one another."""
    try:
        return replace(genome, **genes)
    except GenomeError:
        return None


def read_space(path: Path, *, is_budgeted: bool) -> Space:
    """Read a space file for a search with or without a budget.

    Raises:
        GenomeError: the file cannot be read, is invalid, names an unknown gene, or has values that
            are out of range or not in ascending order.
    """
    import tomllib

    content = read(path, MAX_BYTES, GenomeError)
    with raised_as(GenomeError, path, form="TOML"):
        space = Space.model_validate(tomllib.loads(content.decode()))
        _check(space, *(BUDGETED if is_budgeted else OF_SEARCH))
    return space


def _check(space: Space, genes: Sequence[str], limits: Limits) -> None:
    """Raise GenomeError for an unknown gene, or for values that are out of range or of order."""
    sections: list[tuple[str, Iterable[str]]] = [("values", space.values), ("rates", space.rates)]
    for section, names in [*sections, *(("first", genome) for genome in space.first)]:
        if unknown := [name for name in names if name not in genes]:
            raise GenomeError(
                f"{section} has the unknown gene {unknown[0]!r:.80}; the genes are "
                f"{', '.join(genes)}"
            )
    for genome in space.first:
        check_genes(genome, limits)
    for gene, values in space.values.items():
        for value in values:
            check_genes({gene: value}, limits)
        is_name = isinstance(values[0], str)  # names may be in any order
        if len(set(values)) < len(values) or not (is_name or list(values) == sorted(values)):
            raise GenomeError(
                f"values.{gene} must be in ascending order, got {', '.join(map(repr, values)):.80}"
            )
