"""Read a space of genomes from a TOML file: `microgpt evolve --space FILE`.

target = 2.2              # loss or score at which the search is done

[values]                  # numbers in ascending order; genes without values do not vary
n_embd = [16, 32, 64]
lr = [0.001, 0.003, 0.01]

[rates]                   # relative mutation rates; 1 for the other genes
lr = 2

[[first]]                 # genomes of the first generation; other genes are the default ones
n_embd = 64
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microgpt.error_format import first_problem
from microgpt.files.regular_file import read_regular_file
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.space import Space

MAX_BYTES = 2**20
_Gene = bool | int | float | str


class SpaceFile(BaseModel):
    """The content of a space file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    target: float | None = None
    values: dict[str, Annotated[tuple[_Gene, ...], Field(min_length=1)]]
    rates: dict[str, Annotated[float, Field(ge=0)]] = {}
    first: tuple[dict[str, Any], ...] = ()

    @property
    def space(self) -> Space:
        """The values and mutation rates."""
        return Space(self.values, self.rates)


def read_space(path: Path, genes: Sequence[str]) -> SpaceFile:
    """Read a space file for genomes with these genes.

    Raises:
        GenomeError: the file cannot be read, is invalid, names an unknown gene, or has values that
            are not in ascending order.
    """
    import tomllib

    try:
        found: dict[str, Any] = tomllib.loads(read_regular_file(path, MAX_BYTES).decode())
        space = SpaceFile.model_validate(found)
    except OSError as error:
        raise GenomeError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise GenomeError(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise GenomeError(f"{path}: {first_problem(error)}") from error
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


def _is_ascending(values: Sequence[_Gene]) -> bool:
    """Return whether numbers are in ascending order; names may be in any order."""
    if all(isinstance(value, str) for value in values):
        return len(set(values)) == len(values)
    return all(
        not isinstance(a, str) and not isinstance(b, str) and a < b for a, b in pairwise(values)
    )
