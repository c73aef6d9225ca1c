"""Trials: the training runs that a study asks for, what they measure, and their records."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.judge import NameScores

if TYPE_CHECKING:
    from microgpt import TrainingPlan, TrainState

# "refused": too large to train; "diverged": non-finite loss; "crashed": any other failure.
Status = Literal["ok", "diverged", "crashed", "refused"]
Key = tuple[Genome, int, int | None]  # genome, seed, and end of a rung
ShouldStop = Callable[[], bool]  # polled during training; if it returns true, training stops


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measurements of an organism. Losses are in nats per token."""

    status: Status
    fitness: float = math.inf  # the value that the search minimises
    last_loss: float | None = None  # loss on the last training document
    val_loss: float | None = None
    test_loss: float | None = None  # set only for a winner that is trained with fresh seeds
    samples: tuple[str, ...] = ()  # generated names, if they are scored
    scores: NameScores | None = None  # scores of the generated names
    train_loss: float | None = None  # mean loss of the last 100 steps, set only in sweeps
    value: float | None = None  # of an objective of the user, set only with one
    losses: tuple[float, ...] = ()  # one per evaluation, set only in searches with a budget
    reason: str = field(default="", compare=False)  # error message on one line
    seconds: float = field(default=0.0, compare=False)
    cpu_seconds: float = field(default=0.0, compare=False)
    checkpoint: "tuple[TrainingPlan, TrainState] | None" = field(  # from which training continues
        default=None, compare=False, repr=False
    )


@dataclass(frozen=True)
class Trial:
    """A training run that a search or a sweep evaluates.

    In a search with a budget, a trial is a rung: the run is continued up to one of its evaluations.
    """

    genome: Genome
    seed: int
    id: str = ""  # id of the organism in a search; empty in a sweep
    origin: str = ""  # how the organism was created, or why it is trained
    parents: tuple[str, ...] = ()  # ids of the parent organisms
    until: int | None = None  # number of evaluations at which the rung ends
    losses: tuple[float, ...] = ()  # of its evaluations so far, in nats per character
    state: "TrainState | None" = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> "Key":
        """What identifies the record of the trial."""
        return self.genome, self.seed, self.until

    @property
    def n_evaluations(self) -> int:
        """The number of evaluations of the rung."""
        assert self.until is not None
        return self.until - len(self.losses)


# What a record has of an evaluation, besides its cost.
MEASURED = [each.name for each in fields(Evaluation) if each.compare]


def _genome_of(settings: object) -> Genome:
    if isinstance(settings, Genome):
        return settings
    if not isinstance(settings, dict):
        raise GenomeError(f"a genome must be a JSON object, got {settings!r:.80}")
    return Genome.from_dict(settings)


class Stored(BaseModel):
    """Base class of the records that a run stores."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


Genes = Annotated[  # a genome, of which only the settings that are not the default are stored
    Genome, PlainValidator(_genome_of), PlainSerializer(Genome.to_dict)
]


class TrialRecord(Stored):
    """A line of trials.jsonl: a trial, and what was measured. Losses are in nats.

    Times are those of the machine that has trained.
    """

    id: str = ""
    origin: str = ""
    parents: tuple[str, ...] = ()
    genome: Genes
    seed: int
    until: int | None = None  # evaluation at which the rung of a budgeted search ended
    status: Status
    reason: str | None = None  # why there is no result, on one line
    fitness: float | None = None  # None if it is not finite
    last_loss: float | None = None
    val_loss: float | None = None
    test_loss: float | None = None
    train_loss: float | None = None
    value: float | None = None
    losses: tuple[float, ...] = ()  # finite ones, per character
    scores: NameScores | None = None
    samples: tuple[str, ...] = ()
    n_params: int
    flops: float
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @classmethod
    def of(cls, trial: Trial, evaluation: Evaluation, *, flops: float, n_params: int) -> Self:
        """Return the record of an evaluation; `flops` is the cost of the whole trial."""
        losses = evaluation.losses
        if trial.until and evaluation.status == "ok":  # a time limit may have ended it before
            flops *= len(losses) / trial.n_evaluations
        found: dict[str, Any] = {name: getattr(evaluation, name) for name in MEASURED} | {
            "reason": evaluation.reason or None,
            "fitness": evaluation.fitness if math.isfinite(evaluation.fitness) else None,
            "losses": tuple(loss for loss in losses if loss < math.inf),
            "seconds": round(evaluation.seconds, 4),
            "cpu_seconds": round(evaluation.cpu_seconds, 4),
        }
        asked = ("id", "origin", "parents", "genome", "seed", "until")
        found |= {name: getattr(trial, name) for name in asked}
        return cls(n_params=n_params, flops=flops, **found)

    @property
    def key(self) -> Key:
        """What identifies the trial; a later line with the same key replaces this one."""
        return self.genome, self.seed, self.until

    @cached_property
    def evaluation(self) -> Evaluation:
        """What was measured, without the cost."""
        found = {name: getattr(self, name) for name in MEASURED} | {"reason": self.reason or ""}
        fitness = math.inf if self.fitness is None else self.fitness
        return Evaluation(**found | {"fitness": fitness})

    @property
    def is_ok(self) -> bool:
        """Whether training finished with finite losses."""
        return self.status == "ok"


def training_seed(run_seed: int, generation: int, slot: int, repeat: int = 0) -> int:
    """Return the seed of a training run, from 0 to 2**63 - 1.

    The seed is the upper 63 bits of the first 8 bytes, big-endian, of the SHA-256 of the string
    "run_seed/generation/slot/repeat". It does not depend on the machine or the Python version.

    Args:
        generation: generation number, counted from 1.
        slot: position in the generation, counted from 1.
        repeat: 0 in the search; 1, 2 … in a retest.

    Examples:
        >>> training_seed(42, generation=1, slot=1)
        1326003655785742465
    """
    digest = hashlib.sha256(f"{run_seed}/{generation}/{slot}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
