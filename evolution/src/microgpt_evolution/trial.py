"""Trials: the training runs of a study, their evaluations, and their records in trials.jsonl.

When a trial ends, a line with a checksum is appended to trials.jsonl.
"""

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zlib import crc32

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, TypeAdapter

from microgpt import cannot_write, read
from microgpt_evolution.evolution_errors import StudyError, raised_as
from microgpt_evolution.genome import Genome

TRIALS = "trials.jsonl"
MAX_TRIALS_BYTES = 2**28  # enough for 400,000 lines without samples
CHECKSUM = b',"crc32":"'  # precedes the checksum at the end of a line
REMEDY = "remove the line and resume the study, which repeats the trial"
EVALUATIONS = 8  # number of evaluations per complete training run of a search with a budget
RUNGS = (6, EVALUATIONS)  # evaluations at the end of each rung; earlier losses say little
# "refused": for example, too little memory; "diverged": non-finite loss; "crashed": other errors.
Status = Literal["ok", "diverged", "crashed", "refused"]
Key = tuple[Genome, int, int | None]  # genome, seed and, for a rung, the evaluation that ends it
FRESH = "fresh"  # origin of the winner's trials with seeds that were not used to choose it
RETEST = "confirm"  # origin of a finalist's trials with more seeds, which choose the winner
STUDENT = "student"  # origin of a model that is trained on the predictions of organisms
Scores = dict[str, float]  # mean scores of names: by the judge and by each head of the Hydra
ShouldStop = Callable[[], bool]  # polled during training, which stops if it returns true


class Stored(BaseModel):
    """Base class of the pydantic models that a study stores as JSON."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


def _genome_of(settings: Any) -> Genome:
    return settings if isinstance(settings, Genome) else Genome.from_dict(settings)


Genes = Annotated[  # a genome, of which JSON stores only the settings that differ from the defaults
    Genome, PlainValidator(_genome_of), PlainSerializer(Genome.to_dict)
]


@dataclass(frozen=True)
class Evaluation:
    """The measurements of a trial; losses are in nats per token, except those in `losses`."""

    status: Status
    fitness: float = math.inf  # the value that the search minimizes
    last_loss: float | None = None  # loss on the last training document
    val_loss: float | None = None
    test_loss: float | None = None  # measured only for the winner, with fresh seeds
    samples: tuple[str, ...] = ()  # names that the model generates
    scores: Scores | None = None  # scores of the names, if the search computes them
    # In nats per character: one loss per evaluation; in research, those of a try and the champion.
    losses: tuple[float, ...] = ()
    reason: str = field(default="", compare=False)  # one line that says why there is no result
    seconds: float = field(default=0.0, compare=False)  # wall-clock time of the trial on a worker
    # The TrainingPlan and the TrainState from which training can continue; not recorded.
    checkpoint: Any = field(default=None, compare=False, repr=False)

    @property
    def is_ok(self) -> bool:
        """Whether training ended without an error and with finite losses."""
        return self.status == "ok"


@dataclass(frozen=True)
class Trial:
    """A training run that a study requests, identified by its `key`."""

    genome: Genes
    seed: int
    id: str = ""  # id of the organism in a search; empty in a sweep
    origin: str = ""  # how the organism was created, or why it is trained
    parents: tuple[str, ...] = ()  # ids of the parent organisms
    until: int | None = None  # for a rung, the number of the evaluation that ends it

    @property
    def key(self) -> Key:
        """The genome, the seed and the rung, which identify the trial's record in a study."""
        return self.genome, self.seed, self.until

    @property
    def place(self) -> tuple[int, int]:
        """The generation and the slot in the id: (3, 5) for "g3-5" and "g3-5-again1"."""
        if found := re.match(r"g(\d{1,9})-(\d{1,9})", self.id):
            return int(found[1]), int(found[2])
        raise StudyError(
            f"{self.id!r:.40} is no valid organism id, such as g3-5; restore the files of the study"
        )

    @property
    def generation(self) -> int:
        """The generation number, counted from 1."""
        return self.place[0]


@dataclass(frozen=True)
class Contestant(Trial):
    """An organism of a budgeted search and its losses so far, infinite if training diverged.

    As a trial, it stands for one rung: training continues up to evaluation number `until`.
    """

    losses: tuple[float, ...] = ()  # validation losses in nats per character, one per evaluation
    state: Any = field(default=None, compare=False, repr=False)  # a TrainState to resume from

    @property
    def n_evaluations(self) -> int:
        """The number of evaluations that are left until the end of the rung."""
        assert self.until is not None
        return self.until - len(self.losses)

    @property
    def n_finite(self) -> int:
        """The number of evaluations with a finite loss."""
        return sum(loss < math.inf for loss in self.losses)

    @property
    def loss(self) -> float:
        """The lowest loss so far, or infinity; training keeps the weights with the lowest loss."""
        return min(self.losses, default=math.inf)

    @property
    def next_rung(self) -> int:
        """The number of the evaluation that ends the next rung."""
        return next(rung for rung in RUNGS if rung > len(self.losses))

    @property
    def has_ended(self) -> bool:
        """Whether the organism's training run is complete or has diverged."""
        return len(self.losses) == EVALUATIONS or math.inf in self.losses


@dataclass(frozen=True, kw_only=True)
class TrialRecord(Trial, Evaluation):
    """A line of trials.jsonl: a trial and its evaluation."""

    __pydantic_config__ = Stored.model_config

    genome: Genes
    seed: int
    n_params: int  # number of parameters; 0 in a research study
    flops: float  # number of operations to train and, in a search with a budget, to evaluate

    @classmethod
    def join(cls, trial: Trial, evaluation: Evaluation, *, flops: float, n_params: int) -> Self:
        """Return the record of a trial and its evaluation."""
        found = vars(evaluation) | {each.name: getattr(trial, each.name) for each in fields(Trial)}
        found |= {"seconds": round(evaluation.seconds, 4), "checkpoint": None}
        return cls(**found, flops=flops, n_params=n_params)


def training_seed(run_seed: int, generation: int, slot: int, repeat: int = 0) -> int:
    """Return the seed of a training run, from 0 to 2**63 - 1: a hash of the arguments.

    >>> training_seed(42, generation=1, slot=1)
    1326003655785742465
    """
    digest = hashlib.sha256(f"{run_seed}/{generation}/{slot}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


RECORD = TypeAdapter(TrialRecord)


def read_trials(directory: Path) -> tuple[list[TrialRecord], int]:
    """Return the records of all complete lines of trials.jsonl, and their size in bytes."""
    path = directory / TRIALS
    content = read(path, MAX_TRIALS_BYTES, StudyError)
    *lines, rest = content.split(b"\n")  # the last line is empty or incomplete
    records = []
    for number, line in enumerate(lines, start=1):
        with raised_as(StudyError, f"{path}, line {number}", f"; {REMEDY}"):
            if line + b"\n" != with_checksum(line.rpartition(CHECKSUM)[0] + b"}"):
                raise StudyError("crc32 differs, so the line was changed")
            records.append(RECORD.validate_json(line))
    return records, len(content) - len(rest)


def append_trial(directory: Path, record: TrialRecord, n_bytes: int) -> int:
    """Write a record at the offset n_bytes, the end of the complete lines; return the new end."""
    try:
        with (directory / TRIALS).open("r+b") as file:
            file.truncate(n_bytes)  # remove the incomplete line that a killed process left
            file.seek(n_bytes)
            file.write(with_checksum(RECORD.dump_json(record, exclude_defaults=True)))
            return file.tell()
    except OSError as error:
        raise cannot_write(directory, error) from error


def with_checksum(record: bytes) -> bytes:
    """Return a line of trials.jsonl: a JSON object with its CRC-32 as the last key."""
    return record[:-1] + CHECKSUM + b'%08x"}\n' % crc32(record)
