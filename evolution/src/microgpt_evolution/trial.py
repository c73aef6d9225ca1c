"""Trials: the training runs that a study asks for, what they measure, and their records."""

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from microgpt_evolution.errors import StudyError
from microgpt_evolution.genome import Genome

# Too little memory: "refused"; a loss that is not finite: "diverged"; any other failure: "crashed".
Status = Literal["ok", "diverged", "crashed", "refused"]
Key = tuple[Genome, int, int | None]  # the genome, the seed, and the end of a rung
FRESH = "fresh"  # the winner is trained again with seeds that did not choose it
RETEST = "confirm"  # a finalist is trained again, and may win
STUDENT = "student"  # a model learns from organisms
Scores = dict[str, float]  # the judge and each head have a mean score of the names
ShouldStop = Callable[[], bool]  # training polls it, and stops if it returns true


class Stored(BaseModel):
    """Base class of what a study stores."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


def _genome_of(settings: Any) -> Genome:
    return settings if isinstance(settings, Genome) else Genome.from_dict(settings)


Genes = Annotated[  # a record stores only the settings of a genome that are not the default
    Genome, PlainValidator(_genome_of), PlainSerializer(Genome.to_dict)
]


@dataclass(frozen=True)
class Evaluation:
    """The measurements of a trial. Losses are in nats per token."""

    status: Status
    fitness: float = math.inf  # the value that the search minimises
    last_loss: float | None = None  # loss on the last training document
    val_loss: float | None = None
    test_loss: float | None = None  # only the winner has one, with fresh seeds
    samples: tuple[str, ...] = ()  # names that the model generates
    scores: Scores | None = None  # the search may score the names
    value: float | None = None  # a function of the user returns it
    # A search with a budget has one loss per evaluation, in nats per character.
    losses: tuple[float, ...] = ()
    reason: str = field(default="", compare=False)  # why there is no result, on one line
    seconds: float = field(default=0.0, compare=False)  # the time that a worker needed
    # Training continues from this TrainingPlan and TrainState, which no record has.
    checkpoint: Any = field(default=None, compare=False, repr=False)

    @property
    def is_ok(self) -> bool:
        """Whether training finished with finite losses."""
        return self.status == "ok"


@dataclass(frozen=True)
class Trial:
    """A training run that a study asks for."""

    genome: Genes
    seed: int
    id: str = ""  # id of the organism in a search; empty in a sweep
    origin: str = ""  # how the organism was created, or why it is trained
    parents: tuple[str, ...] = ()  # ids of the parent organisms
    until: int | None = None  # a rung ends at this number of evaluations

    @property
    def key(self) -> Key:
        """What identifies the record of a trial."""
        return self.genome, self.seed, self.until

    @property
    def place(self) -> tuple[int, int]:
        """The generation and the slot in the id, such as "g3-5" or "g3-5-again1", from 1."""
        if found := re.match(r"g(\d{1,9})-(\d{1,9})", self.id):
            return int(found[1]), int(found[2])
        raise StudyError(
            f"{self.id!r:.40} is no id of an organism, such as g3-5; restore the files of the study"
        )

    @property
    def generation(self) -> int:
        """The number of its generation, counted from 1."""
        return self.place[0]


@dataclass(frozen=True, kw_only=True)
class TrialRecord(Trial, Evaluation):
    """A line of trials.jsonl: what was measured, and the trial."""

    __pydantic_config__ = Stored.model_config

    genome: Genes
    seed: int
    n_params: int
    flops: float  # the operations of training and, in a search with a budget, of evaluations

    @classmethod
    def of(cls, trial: Trial, evaluation: Evaluation, *, flops: float, n_params: int) -> Self:
        """Return the record of an evaluation."""
        found = vars(evaluation) | {each.name: getattr(trial, each.name) for each in fields(Trial)}
        found |= {"seconds": round(evaluation.seconds, 4), "checkpoint": None}
        return cls(**found, flops=flops, n_params=n_params)


def training_seed(run_seed: int, generation: int, slot: int, repeat: int = 0) -> int:
    """Return the seed of a training run, from 0 to 2**63 - 1, by a hash of what it is for.

    Args:
        repeat: 0 in the search; 1, 2 … in a retest.

    Examples:
        >>> training_seed(42, generation=1, slot=1)
        1326003655785742465
    """
    digest = hashlib.sha256(f"{run_seed}/{generation}/{slot}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
