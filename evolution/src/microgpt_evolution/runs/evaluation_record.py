"""Record of an evaluation in a search: a line of evaluations.jsonl."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microgpt.error_format import first_problem
from microgpt_evolution.errors import GenomeError, RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.hydra_heads import HEADS
from microgpt_evolution.objectives.scores import Scores
from microgpt_evolution.population import Evaluation, Status

REMEDY = "remove the line to repeat the evaluation"
LARGEST = 1e300  # maximum loss; sums of larger losses may overflow


class EvaluationRecord(BaseModel):
    """A line of evaluations.jsonl: an evaluation with its organism and cost."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    id: str  # id of the organism, such as "g3-5"
    origin: str  # how the organism was created, or why it was trained
    parents: tuple[str, ...]  # ids of the parent organisms
    genome: Genome
    seed: int | None  # imported runs have no seed, flops, seconds or cpu_seconds
    status: Status
    fitness: float | None
    last_loss: float | None
    val_loss: float | None
    scores: Scores | None = Field(None, alias="vote")
    samples: tuple[str, ...] | None = None
    flops: int | None
    seconds: float | None
    cpu_seconds: float | None

    @classmethod
    def of(cls, evaluation: Evaluation, **others: Any) -> Self:
        """Create the record of an evaluation; `others` sets the remaining fields."""
        return cls(
            status=evaluation.status,
            fitness=evaluation.fitness if math.isfinite(evaluation.fitness) else None,
            last_loss=evaluation.last_loss,
            val_loss=evaluation.val_loss,
            samples=evaluation.samples or None,
            vote=evaluation.scores,
            **others,
        )

    @cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation without the cost (FLOPs and times)."""
        fitness = math.inf if self.fitness is None else self.fitness
        names = self.samples or ()
        return Evaluation(self.status, fitness, self.last_loss, self.val_loss, names, self.scores)

    def encode(self) -> bytes:
        """Encode the record as a line of JSON that ends with a line feed."""
        absent = set() if self.samples else {"samples", "scores"}
        return self.model_dump_json(by_alias=True, exclude=absent).encode() + b"\n"


def decode(line: bytes, where: str, settings: Mapping[str, Any]) -> EvaluationRecord:
    """Parse a line of evaluations.jsonl.

    Args:
        where: file and line number for error messages.

    Raises:
        RunError: the line is damaged, or lacks a value that a search with these settings needs.
    """
    try:
        record = EvaluationRecord.model_validate_json(line)
    except ValidationError as error:
        raise RunError(f"{where}: {first_problem(error)}; {REMEDY}") from error
    except GenomeError as error:
        raise RunError(f"{where}: {error}; {REMEDY}") from error
    if record.status == "ok" and (problem := _find_problem(record, settings)):
        raise RunError(f"{where}: {problem}; {REMEDY}")
    return record


def _find_problem(record: EvaluationRecord, settings: Mapping[str, Any]) -> str | None:
    """Return the reason why a search cannot use a finished evaluation, or None."""
    losses = (record.fitness, record.last_loss, record.val_loss)
    if any(abs(loss) > LARGEST for loss in losses if loss is not None):
        return f"a loss exceeds {LARGEST:g}"
    if settings.get("objective", "loss") == "loss":
        return "fitness is missing" if record.fitness is None else None
    if record.scores is None:
        return "vote is missing"
    measures = {"judge", *HEADS} - (set() if settings.get("origin") else {"origin"})
    if missing := measures - record.scores.scores.keys():
        return f"vote lacks {', '.join(sorted(missing))}"
    if not 0 <= record.scores.novel <= 1:
        return f"vote.novel must be between 0 and 1, got {record.scores.novel:g}"
    return None
