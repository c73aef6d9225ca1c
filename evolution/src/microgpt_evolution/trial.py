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

# "refused": too little memory; "diverged": non-finite loss; "crashed": any other failure.
Status = Literal["ok", "diverged", "crashed", "refused"]
Key = tuple[Genome, int, int | None]  # genome, seed, and end of a rung
FRESH = "fresh"  # origin of the winner's training runs with seeds that did not choose it
RETEST = "confirm"  # origin of trials of finalists with more seeds
STUDENT = "student"  # origin of a trial that learns from organisms
Scores = dict[str, float]  # mean scores of names, by "judge" and name of a head
ShouldStop = Callable[[], bool]  # polled during training; if it returns true, training stops


def never() -> bool:
    """Return false, so that training does not stop."""
    return False


class Stored(BaseModel):
    """Base class of what a study stores."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


def _genome_of(settings: Any) -> Genome:
    return settings if isinstance(settings, Genome) else Genome.from_dict(settings)


Genes = Annotated[  # a genome, of which only the settings that are not the default are stored
    Genome, PlainValidator(_genome_of), PlainSerializer(Genome.to_dict)
]


@dataclass(frozen=True)
class Evaluation:
    """The measurements of a trial. Losses are in nats per token."""

    status: Status
    fitness: float = math.inf  # the value that the search minimises
    last_loss: float | None = None  # loss on the last training document
    val_loss: float | None = None
    test_loss: float | None = None  # set only for a winner that is trained with fresh seeds
    samples: tuple[str, ...] = ()  # generated names, if they are scored
    scores: Scores | None = None  # those of the generated names
    value: float | None = None  # of an objective of the user, set only with one
    # In a search with a budget: one loss per evaluation, in nats per character.
    losses: tuple[float, ...] = ()
    reason: str = field(default="", compare=False)  # error message on one line
    seconds: float = field(default=0.0, compare=False)  # of the machine that has trained
    # The TrainingPlan and the TrainState from which training continues; not recorded.
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
    until: int | None = None  # with a budget: number of evaluations at which it ends

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

    @property
    def slot(self) -> int:
        """Its position in the generation, counted from 1."""
        return self.place[1]


@dataclass(frozen=True, kw_only=True)
class TrialRecord(Trial, Evaluation):
    """A line of trials.jsonl: what was measured, and the trial."""

    __pydantic_config__ = Stored.model_config

    genome: Genes
    seed: int
    n_params: int
    flops: float  # operations, those of the evaluations in a search with a budget included

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
