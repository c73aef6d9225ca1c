"""history.jsonl: the loss history of a training run, one point per line.

{"step": 50, "loss": 2.71}
{"step": 100, "loss": 2.65, "val_loss": 2.6}
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from microgpt.config import MAX_SIZE
from microgpt.error_format import first_problem
from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import check_is_directory, committed_path, read_committed

HISTORY = "history.jsonl"
MAX_HISTORY_BYTES = 2**24  # a history has about 500 points of less than 100 bytes each


@dataclass(frozen=True)
class HistoryPoint:
    """A point on the loss curve."""

    __pydantic_config__: ClassVar = ConfigDict(strict=True, allow_inf_nan=False, defer_build=True)

    step: Annotated[int, Field(ge=1, le=MAX_SIZE)]
    # Mean training loss since the previous point, in nats per token; as there, if no step since has
    # predicted a token that counts.
    loss: float
    val_loss: float | None = None  # validation loss after this step, if it was measured


def encode_history(points: Iterable[HistoryPoint]) -> bytes:
    """Encode points as the content of history.jsonl, with losses in full precision."""
    facts = ({name: fact for name, fact in vars(p).items() if fact is not None} for p in points)
    return "".join(json.dumps(fact, allow_nan=False) + "\n" for fact in facts).encode()


def read_history(directory: str | Path) -> tuple[HistoryPoint, ...]:
    """Read the loss history of a model directory; raise CheckpointError if it is invalid."""
    directory = Path(directory)
    check_is_directory(directory, "use a directory written by `microgpt train`")
    path = directory / HISTORY
    points: list[HistoryPoint] = []
    if not os.path.lexists(committed_path(directory, HISTORY)):
        raise CheckpointError(
            f"{directory} has no {HISTORY}, so there are no losses to plot; models that were saved "
            "from Python or copied without it have none"
        )
    content = read_committed(directory, HISTORY, MAX_HISTORY_BYTES)
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            try:
                point = _POINT.validate_json(line)
            except ValidationError as error:
                problem = first_problem(error).replace("at line 1 column", "at column")
                raise CheckpointError(f"{path}, line {number}: {problem}") from error
            if points and point.step <= points[-1].step:
                raise CheckpointError(
                    f"{path}, line {number}: step {point.step} follows step {points[-1].step}; "
                    "steps must increase"
                )
            points.append(point)
    return tuple(points)


_POINT = TypeAdapter(HistoryPoint)
