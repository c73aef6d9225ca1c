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
from dataclasses import asdict, replace
from itertools import pairwise
from math import dist
from pathlib import Path
from random import Random
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from microgpt import first_problem, read
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import BaseGenome

G = TypeVar("G", bound=BaseGenome)
Gene = bool | int | float | str | None
Values = dict[str, Annotated[tuple[Gene, ...], Field(min_length=1)]]
Rates = dict[str, Annotated[float, Field(ge=0)]]

MORE_GENES = 0.35  # probability to mutate another gene, after each gene
JUMP = 0.25  # probability that a gene moves by two places instead of one
MAX_TRIES = 100  # number of draws before a space without valid genomes is reported
MAX_BYTES = 2**15  # for a key of as many parts as fit, tomllib takes seconds


class Space(BaseModel):
    """The values that each gene may have; genes without values keep those of the parent."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    target: float | None = None
    values: Values
    rates: Rates = {}  # 1 for genes that are not here
    first: tuple[dict[str, JsonValue], ...] = ()  # checked by the type of genome

    def first_genomes(self, genome: G) -> list[G]:
        """Return the genomes of the first generation; other genes are taken from `genome`."""
        return [replace(genome, **genes) for genes in self.first]

    def random(self, genome: G, rng: Random) -> G:
        """Return a genome with random values; genes without values are taken from `genome`."""
        for _ in range(MAX_TRIES):
            genes = {gene: rng.choice(values) for gene, values in self.values.items()}
            try:
                return replace(genome, **genes)
            except GenomeError as error:
                problem = error
        raise GenomeError(f"the space has no valid genomes ({problem}); add compatible values")

    def mutate(self, genome: G, rng: Random) -> G:
        """Return a copy in which one or more genes have a neighbouring value."""
        varying = (gene for gene, values in self.values.items() if len(values) > 1)
        rates = {gene: rate for gene in varying if (rate := self.rates.get(gene, 1.0)) > 0}
        for _ in range(MAX_TRIES if rates else 0):
            genes: dict[str, Gene] = {}
            while not genes or rng.random() < MORE_GENES:
                (gene,) = rng.choices([*rates], [*rates.values()])
                genes[gene] = self._neighbour(gene, getattr(genome, gene), rng)
            mutant = _valid(genome, genes)
            if mutant and mutant != genome:
                return mutant
        raise GenomeError("the space has no other valid genomes; check its values")

    def crossover(self, a: G, b: G, rng: Random) -> G:
        """Return a genome that takes each gene from either parent with equal probability."""
        genes = {gene: getattr(rng.choice((a, b)), gene) for gene in asdict(a)}
        return _valid(a, genes) or a

    def closest(self, genome: G) -> G:
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

    def coordinates(self, genome: G) -> list[float]:
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
        return min(values, key=lambda each: abs((each or 0) - (value or 0)))


def _valid(genome: G, genes: Mapping[str, object]) -> G | None:
    """Return the genome with some genes replaced, or None if they contradict one another."""
    try:
        return replace(genome, **genes)
    except GenomeError:
        return None


def read_space(path: Path, genes: Sequence[str]) -> Space:
    """Read a space file for genomes with these genes.

    Raises:
        GenomeError: the file cannot be read, is invalid, names an unknown gene, or has values that
            are not in ascending order.
    """
    import tomllib

    try:
        space = Space.model_validate(tomllib.loads(read(path, MAX_BYTES, GenomeError).decode()))
    except ValidationError as error:
        raise GenomeError(f"{path}: {first_problem(error)}") from error
    except (ValueError, RecursionError) as error:  # tomllib raises ValueError for a long integer
        raise GenomeError(f"{path} is not valid TOML: {error}") from error
    sections: list[tuple[str, Iterable[str]]] = [("values", space.values), ("rates", space.rates)]
    for section, names in [*sections, *(("first", genome) for genome in space.first)]:
        if unknown := [name for name in names if name not in genes]:
            raise GenomeError(
                f"{path}: {section} has the unknown gene {unknown[0]!r:.80}; the genes are "
                f"{', '.join(genes)}"
            )
    for gene, values in space.values.items():
        if not _is_ascending(values):
            raise GenomeError(
                f"{path}: values.{gene} must be in ascending order, got "
                f"{', '.join(map(repr, values)):.80}"
            )
    return space


def _is_ascending(values: Sequence[Any]) -> bool:
    """Return whether numbers are in ascending order; names may be in any order."""
    if all(isinstance(value, str) for value in values):
        return len(set(values)) == len(values)
    return all(
        not isinstance(a, str) and not isinstance(b, str) and a < b for a, b in pairwise(values)
    )
