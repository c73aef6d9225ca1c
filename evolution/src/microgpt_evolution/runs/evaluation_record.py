"""A line of evaluations.jsonl: a trial, its evaluation and its cost."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from microgpt.error_format import first_problem
from microgpt_evolution.errors import GenomeError, RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.hydra_heads import HEADS
from microgpt_evolution.objectives.scores import Scores
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation, Status

REMEDY = "remove the line, and it will be measured again"
LARGEST = 1e300  # sums of larger losses may be no number
MEASURES = frozenset(["judge", *HEADS])  # the scores of a vote, Origin's where it takes part


class EvaluationRecord(BaseModel):
    """A line of evaluations.jsonl."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    id: str  # its name in the run, such as "g3-5"
    origin: str  # how the organism was made, or why it was trained
    parents: tuple[str, ...]  # ids
    genome: Genome
    seed: int | None  # None in an imported run, as are the next three
    status: Status
    fitness: float | None
    last_loss: float | None
    val_loss: float | None
    vote: Scores | None = None
    samples: tuple[str, ...] | None = None
    flops: int | None
    seconds: float | None
    cpu_seconds: float | None

    @cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation."""
        fitness = math.inf if self.fitness is None else self.fitness
        names = self.samples or ()
        return Evaluation(self.status, fitness, self.last_loss, self.val_loss, names, self.vote)


def encode_evaluation(trial: Trial[Genome], evaluation: Evaluation, flops: int) -> bytes:
    """Return a line of evaluations.jsonl."""
    return _encode(
        trial.config,
        evaluation,
        id=trial.id,
        origin=trial.origin,
        parents=trial.parents,
        seed=trial.seed,
        flops=flops,
        seconds=round(evaluation.seconds, 4),
        cpu_seconds=round(evaluation.cpu_seconds, 4),
    )


def encode_imported(id_: str, origin: str, genome: Genome, evaluation: Evaluation) -> bytes:
    """Return a line of evaluations.jsonl of which no more is known; see `Organism`."""
    unknown = dict.fromkeys(("seed", "flops", "seconds", "cpu_seconds"))
    return _encode(genome, evaluation, id=id_, origin=origin, parents=(), **unknown)


def _encode(genome: Genome, evaluation: Evaluation, **known: Any) -> bytes:
    line = EvaluationRecord(
        genome=genome,
        status=evaluation.status,
        fitness=evaluation.fitness if math.isfinite(evaluation.fitness) else None,
        last_loss=evaluation.last_loss,
        val_loss=evaluation.val_loss,
        samples=evaluation.samples or None,
        vote=evaluation.vote,
        **known,
    )
    unheard = set() if evaluation.samples else {"samples", "vote"}
    return line.model_dump_json(exclude=unheard).encode() + b"\n"


def decode(line: bytes, where: str, settings: Mapping[str, Any]) -> EvaluationRecord:
    """Return what a line says.

    Args:
        where: what to call it.

    Raises:
        RunError: it is damaged, or lacks what the search goes by.
    """
    try:
        entry = EvaluationRecord.model_validate_json(line)
    except ValidationError as error:
        raise RunError(f"{where}: {first_problem(error)}; {REMEDY}") from error
    except GenomeError as error:
        raise RunError(f"{where}: {error}; {REMEDY}") from error
    if entry.status == "ok" and (problem := _lacks(entry, settings)):
        raise RunError(f"{where}: {problem}; {REMEDY}")
    return entry


def _lacks(entry: EvaluationRecord, settings: Mapping[str, Any]) -> str | None:
    """Return what a search would miss in an evaluation that has come to its end."""
    losses = (entry.fitness, entry.last_loss, entry.val_loss)
    if any(abs(loss) > LARGEST for loss in losses if loss is not None):
        return f"a loss is beyond {LARGEST:g}"
    if settings.get("objective", "loss") == "loss":
        return "it has no fitness" if entry.fitness is None else None
    if entry.vote is None:
        return "it has no vote"
    measures = MEASURES if settings.get("origin") else MEASURES - {"origin"}
    if missing := measures - entry.vote.scores.keys():
        return f"its vote has no {', '.join(sorted(missing))}"
    if not 0 <= entry.vote.novel <= 1:
        return f"vote.novel is {entry.vote.novel:g}, which is no share"
    return None
