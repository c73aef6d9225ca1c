"""What a run of evolution is: the settings that its result follows from, as run.json keeps them.

A run that goes on has those that it began with, whatever the defaults have become since.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microgpt.config import MAX_SEED
from microgpt.errors import ConfigError
from microgpt.validation import first_problem
from microgpt_evolution.arena import MAX_BYTES, MAX_FLOPS
from microgpt_evolution.errors import GenomeError, RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.records import RUN, Records

HELD_OUT = 0.1  # the share for choosing, and that for the final figure
_Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """The settings of a run.

    Attributes:
        objective: what is searched for.
        input: where the documents were when it began.
        data_sha256: of all documents.
        val_fraction: the share that is held out for choosing.
        test_fraction: the share for the final figure.
        population: organisms in a generation.
        generations: as many as it runs for.
        seed: of the run.
        fitness: the measure.
        warm_start: the genome that it begins with, if any: itself, for its file may change.
        max_flops: a training that takes more is refused.
        max_bytes: the same for its memory.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    objective: Literal["loss"] = "loss"
    input: str
    data_sha256: str
    val_fraction: float = HELD_OUT
    test_fraction: float = HELD_OUT
    population: _Count
    generations: _Count
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)]
    fitness: Literal["held-out", "last-doc"]
    warm_start: Genome | None = None
    max_flops: float = MAX_FLOPS
    max_bytes: int = MAX_BYTES

    @classmethod
    def of(cls, records: Records) -> "Settings":
        """Return the settings of a run that has begun.

        Raises:
            RunError: they are damaged.
        """
        where = f"{records.directory / RUN}: settings"
        try:
            return cls.model_validate_json(json.dumps(records.settings))
        except ValidationError as error:
            raise RunError(f"{where}.{first_problem(error)}") from error
        except GenomeError as error:
            raise RunError(f"{where}.warm_start: {error}") from error

    def check(self, given: Mapping[str, Any], warm_start: Genome | None) -> None:
        """Raise ConfigError if an option that is given again is not what the run began with.

        Args:
            given: the options of the command line, by name.
            warm_start: the genome in the file that was given, if one was.
        """
        for name in ("population", "generations", "seed", "fitness"):
            if name in given and given[name] != getattr(self, name):
                raise ConfigError(
                    f"--{name} is {given[name]}, but {getattr(self, name)} in the run to resume; "
                    "leave it out"
                )
        if warm_start and warm_start != self.warm_start:
            began_with = (
                f"began with {self.warm_start.describe()}" if self.warm_start else "has none"
            )
            raise ConfigError(
                f"--warm-start is {warm_start.describe().strip()}, but the run to resume "
                f"{began_with.strip()}; leave it out"
            )

    def check_data(self, input: Path, sha256: str) -> None:
        """Raise ConfigError if the documents are not those that the run began with."""
        if sha256 != self.data_sha256:
            raise ConfigError(
                f"{input} is not what the run began with: its documents have another sha256; "
                "name the old file with --input"
            )
