"""The directory of a run, with the settings and evaluations needed to resume the run.

    .lock                lock file, held while a process executes the run
    run.json             the settings and the version of microgpt
    evaluations.jsonl    one line per evaluation, appended when the evaluation ends

A resumed run starts from the beginning and reuses the recorded evaluations.
"""

import json
import math
import os
import shutil
import warnings
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import cached_property
from operator import not_
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from pydantic import Field

from microgpt import (
    MAX_SEED,
    ConfigError,
    DirectoryLock,
    Split,
    TextKind,
    as_argument,
    cannot_write,
    contamination,
    mark,
    publish,
)
from microgpt_evolution.errors import RunError, raised_as
from microgpt_evolution.objectives.scores import NameScores
from microgpt_evolution.organism import Evaluation, Key, Status, Trial
from microgpt_evolution.runs.run_files import (
    EVALUATIONS,
    REMEDY,
    RUN,
    Genes,
    Stored,
    directory_of,
    new_directory,
    new_run_file,
    read_run_file,
    whole_lines,
    with_checksum,
)

USE = "being searched"  # inserted into the error message about a locked directory


class Kind(NamedTuple):
    """A kind of run, such as a search or a sweep."""

    title: str
    resume: str  # resumes them; followed by the directory


SEARCH = Kind("search", "microgpt evolve --resume")
BUDGETED = SEARCH._replace(title="search with a budget")
SWEEP = Kind("sweep", "microgpt sweep resume")
# A key in the settings tells the kind; a search has none of these.
KEYS = {"sweep": SWEEP, "budget": BUDGETED}


HELD_OUT = 0.1  # fraction of documents in each of the validation and test sets
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Count = Annotated[int, Field(ge=1)]

# What a record has of an evaluation, besides its cost.
MEASURED = [each.name for each in fields(Evaluation) if each.compare]


def facts_of(parts: Split) -> dict[str, Any]:
    """Return the settings of a run that follow from its documents."""
    return {
        "text": "lines" if parts.gap is None else "stream",
        "data_sha256": parts.facts.sha256,
        "val_fraction": parts.val_fraction,
        "test_fraction": parts.test_fraction,
        "gap": parts.gap or 0,
        "contamination": contamination(parts, ()),
    }


class RunSettings(Stored):
    """Base class of the settings of a run, as stored in run.json."""

    kind: ClassVar[Kind]
    derived: ClassVar[Set[str]] = frozenset({"contamination"})  # fields that follow from the others

    input: Annotated[str, Field(pattern=r"^[^\x00]+$")]  # path of the documents
    column: str | None = None  # column or field with the documents
    chat: bool = False  # whether the documents are conversations
    me: str | None = None  # who the assistant is in an exported chat
    separator: str | None = None  # between documents of several lines
    text: TextKind = "lines"
    data_sha256: str  # SHA-256 of all documents
    val_fraction: float = HELD_OUT  # fraction of the documents in the validation set
    test_fraction: float = HELD_OUT
    gap: int = 0  # number of unused characters around held-out stretches of running text
    # Share of each held-out set whose texts are also read in training, as in TrainingPlan.
    contamination: dict[str, float | None] = Field({}, exclude_if=not_)
    train_winner: str | None = None  # path of the directory for the model of the winner

    def mark(self, name: str = "validation") -> str:
        """Return the mark of figures on a held-out set; empty if nothing of it was read."""
        return mark(self.contamination.get(name, 0.0))

    @classmethod
    def parse(cls, settings: dict[str, object], directory: Path) -> Self:
        """Parse the settings of a run; raise RunError if damaged or of a different kind."""
        if (kind := kind_of(settings)) != cls.kind:
            raise RunError(
                f"{directory} is a {kind.title}, not a {cls.kind.title}; resume it with: "
                f"{kind.resume} {as_argument(directory)}"
            )
        with raised_as(RunError, f"{directory / RUN}: settings"):
            return cls.model_validate_json(json.dumps(settings))


class TrialRecord(Stored):
    """A line of evaluations.jsonl: a trial, and what was measured. Losses are in nats.

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
        until, losses = trial.until, evaluation.losses
        if until is not None and evaluation.status == "ok":  # a time limit may have ended it before
            until = len(trial.losses) + len(losses)
            flops *= len(losses) / trial.n_evaluations
        found: dict[str, Any] = {name: getattr(evaluation, name) for name in MEASURED} | {
            "reason": evaluation.reason or None,
            "fitness": evaluation.fitness if math.isfinite(evaluation.fitness) else None,
            "losses": tuple(loss for loss in losses if loss < math.inf),
            "seconds": round(evaluation.seconds, 4),
            "cpu_seconds": round(evaluation.cpu_seconds, 4),
        }
        asked = ("id", "origin", "parents", "genome", "seed")
        found |= {name: getattr(trial, name) for name in asked}
        return cls(until=until, n_params=n_params, flops=flops, **found)

    @property
    def key(self) -> Key:
        """What identifies the trial; a later line with the same key replaces this one."""
        return self.genome, self.seed, self.until

    @cached_property
    def evaluation(self) -> Evaluation:
        """What was measured, without the cost."""
        found = {name: getattr(self, name) for name in MEASURED}
        fitness = math.inf if self.fitness is None else self.fitness
        return Evaluation(**found | {"fitness": fitness})

    @property
    def is_ok(self) -> bool:
        """Whether training finished with finite losses."""
        return self.status == "ok"


def kind_of(settings: dict[str, object]) -> Kind:
    """Return the kind of a run with these settings."""
    return next((kind for key, kind in KEYS.items() if key in settings), SEARCH)


def kind_at(path: Path) -> Kind:
    """Return the kind of a run, given its directory or log file; raise RunError if damaged."""
    return kind_of(read_run_file(directory_of(path)).settings)


S = TypeVar("S", bound=RunSettings)


class RunDirectory(Generic[S]):
    """The records of one run, locked until `close`. The log file is next to the directory.

    A subclass names the type of the settings.
    """

    settings_type: type[S]
    repeats_failures = False  # whether a resumed run repeats trials that crashed or were refused

    def __init__(self, directory: Path, settings: S, lock: DirectoryLock | None = None) -> None:
        self.directory, self.settings = directory, settings
        self.log = directory.with_name(f"{directory.name}.log")
        self._lines: dict[Key, TrialRecord] = {}
        self._lock = lock

    @classmethod
    def begin(cls, folder: Path, name: str, settings: S, *, is_stamped: bool = True) -> Self:
        """Create the records of a new run; see `new_directory` for the arguments."""
        files = {EVALUATIONS: b"", RUN: new_run_file(settings.model_dump(mode="json")).encode()}
        directory = new_directory(folder, name, files, is_stamped=is_stamped)
        try:
            return cls(directory, settings, DirectoryLock(directory, USE))
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the records of a run, given the run directory or its log file.

        Raises:
            RunError: the run is missing, damaged or of another kind.
            CheckpointError: another process holds the lock, or the directory is not writable.
        """
        run = cls._parsed(path)
        # Lock before removing an incomplete last line: another process may still be writing it.
        run._lock = DirectoryLock(run.directory, USE)
        try:
            n_bytes = sum(len(line) + 1 for _, line in run._read_lines())
            os.truncate(run.directory / EVALUATIONS, n_bytes)
        except BaseException as error:
            run.close()
            if isinstance(error, OSError):
                raise cannot_write(run.directory, error) from error
            raise
        return run

    @classmethod
    @contextmanager
    def at(cls, run_dir: str | os.PathLike[str] | None, settings: S) -> Iterator[Self]:
        """Yield the records of a new or resumed run in a directory (default: a temporary one).

        Raises:
            ConfigError: the directory has a run with different settings.
        """
        with ExitStack() as stack:
            folder = run_dir or Path(stack.enter_context(TemporaryDirectory()), "run")
            directory = Path(folder)
            if os.path.lexists(directory):
                run = cls.open(directory)
            else:
                run = cls.begin(directory.parent, directory.name, settings, is_stamped=False)
            stack.enter_context(run)
            for name in type(settings).model_fields:
                new, old = getattr(settings, name), getattr(run.settings, name)
                if new != old and name not in settings.derived:
                    raise ConfigError(
                        f"{name} is {new!s:.80}, but the run in {directory} has {old!s:.80}; use "
                        "another run_dir"
                    )
            yield run

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the records of a run that may be running, without the incomplete last line.

        Raises:
            RunError: the run is missing, damaged or of another kind.
        """
        run = cls._parsed(path)
        run._read_lines()
        return run

    @classmethod
    def _parsed(cls, path: Path) -> Self:
        directory = directory_of(path)
        settings = cls.settings_type.parse(read_run_file(directory).settings, directory)
        return cls(directory, settings)

    def close(self) -> None:
        """Release the lock."""
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def lines(self) -> tuple[TrialRecord, ...]:
        """The last line of each key, in order of completion."""
        return tuple(self._lines.values())

    @property
    def n_known(self) -> int:
        """The number of recorded evaluations that a resumed run reuses."""
        return sum(map(self._is_final, self.lines))

    @property
    def n_recorded(self) -> int:
        """The number of evaluations in the file; after an interrupt, it can be `n_known` + 1."""
        return len(whole_lines(self.directory))

    def known(self, trial: Trial) -> Evaluation | None:
        """Return the recorded evaluation of a trial, or None if the trial must still be run."""
        line = self._lines.get(trial.key)
        return line.evaluation if line and self._is_final(line) else None

    def _is_final(self, line: TrialRecord) -> bool:
        """Return whether a resumed run uses a record."""
        return not self.repeats_failures or line.status in ("ok", "diverged")

    def add(self, trial: Trial, evaluation: Evaluation, *, flops: float, n_params: int) -> None:
        """Append an evaluation; raise CheckpointError if it cannot be written."""
        line = TrialRecord.of(trial, evaluation, flops=flops, n_params=n_params)
        try:
            with (self.directory / EVALUATIONS).open("ab") as file:
                content = line.model_dump_json(exclude_defaults=True).encode()
                file.write(with_checksum(content))
        except OSError as error:
            raise cannot_write(self.directory, error) from error
        self._lines[line.key] = line

    def warn_of_failures(self) -> None:
        """Warn of trials without a result, once per reason."""
        for reason in dict.fromkeys(line.reason for line in self.lines if line.reason):
            warnings.warn(f"a training run has no value: {reason}", stacklevel=3)

    def change(self, settings: S) -> None:
        """Replace the settings in run.json; raise CheckpointError if it cannot be written."""
        changed = {"settings": settings.model_dump(mode="json")}
        run = read_run_file(self.directory).model_copy(update=changed)
        publish(self.directory, {RUN: run.encode()})
        self.settings = settings

    def _read_lines(self) -> list[tuple[str, bytes]]:
        """Read the complete lines; return them with their locations."""
        located = whole_lines(self.directory)
        for where, content in located:
            with raised_as(RunError, where, f"; {REMEDY}"):
                line = TrialRecord.model_validate_json(content)
            self._lines[line.key] = line
        return located
