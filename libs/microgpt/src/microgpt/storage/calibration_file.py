"""Calibration of a model's scores: percentiles of texts known to be good, stored with the model."""

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from microgpt.config import CALIBRATION
from microgpt.error_format import first_problem, other_version
from microgpt.errors import CheckpointError, DataError
from microgpt.files.atomic_files import publish, read
from microgpt.storage.meta import Meta

N_STEPS = 1000  # the quantiles are 0.1 % apart
MAX_BYTES = 2**17


class Calibration(BaseModel):
    """The distribution of the bits per character of good texts."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    version: int = 1
    weights_sha256: str | None  # of the model, as in meta.json
    n_texts: Annotated[int, Field(ge=1)]
    # Quantiles of the bits per character, from the lowest (0 %) to the highest (100 %).
    quantiles: Annotated[tuple[float, ...], Field(min_length=N_STEPS + 1, max_length=N_STEPS + 1)]

    @field_validator("quantiles")
    @classmethod
    def _check_order(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if list(quantiles) != sorted(quantiles):
            raise ValueError("must be in ascending order")
        return quantiles

    @classmethod
    def of(cls, bits_per_character: Sequence[float], meta: Meta) -> Self:
        """Return the calibration of a model from the scores of good texts.

        Raises:
            DataError: there are no texts.
        """
        ordered, last = sorted(bits_per_character), len(bits_per_character) - 1
        if not ordered:
            raise DataError("there are no lines to calibrate with; use a file with some lines")
        quantiles = []
        for i in range(N_STEPS + 1):
            below, rest = divmod(i * last, N_STEPS)
            above = ordered[min(below + 1, last)]
            quantiles.append(ordered[below] + (above - ordered[below]) * rest / N_STEPS)
        return cls(
            weights_sha256=meta.weights_sha256,
            n_texts=len(ordered),
            quantiles=tuple(sorted(quantiles)),  # rounding may have swapped two
        )

    def percentile(self, bits_per_character: float) -> float:
        """Return the percentage of good texts that surprise the model less, in steps of 0.1."""
        return bisect_left(self.quantiles, bits_per_character) / (N_STEPS + 1) * 100

    def write(self, directory: Path) -> None:
        """Write the calibration next to a model; raise CheckpointError if it cannot be written."""
        publish(directory, {CALIBRATION: self.model_dump_json(indent=1).encode() + b"\n"})


def read_calibration(directory: Path, meta: Meta) -> Calibration | None:
    """Return the calibration stored with a model, or None if there is none for its weights.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = directory / CALIBRATION
    if not path.exists():
        return None
    content = read(path, MAX_BYTES)
    if problem := other_version(content, "version", 1):
        raise CheckpointError(f"{path}: {problem}")
    try:
        found = Calibration.model_validate_json(content)
    except ValidationError as error:
        raise CheckpointError(f"{path}: {first_problem(error)}; calibrate again") from error
    return found if found.weights_sha256 == meta.weights_sha256 else None
