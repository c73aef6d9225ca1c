"""A study: a directory of settings and trials, and what trains the trials that it lacks.

    .lock            lock file, held while a process executes the study
    settings.json    the settings and the version of microgpt
    trials.jsonl     one line per trial, appended when the trial ends

A resumed study starts from the beginning and reuses the recorded trials.
"""

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain, count
from operator import not_
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar
from zlib import crc32

from pydantic import Field

from microgpt import (
    MAX_SEED,
    SAVING,
    ConfigError,
    DirectoryLock,
    Split,
    TextKind,
    as_argument,
    cannot_write,
    contamination,
    mark,
    other_version,
    publish,
    read,
    read_regular_file,
)
from microgpt_evolution.errors import StoppedError, StudyError, raised_as
from microgpt_evolution.objectives.objective import Objective
from microgpt_evolution.trial import Evaluation, Key, Stored, Trial, TrialRecord
from microgpt_evolution.workers import Workers

SETTINGS, TRIALS = "settings.json", "trials.jsonl"
FORMAT_VERSION = 4
MAX_SETTINGS_BYTES = 2**24  # a sweep of 10,000 configurations takes 3 MB
MAX_TRIALS_BYTES = 2**28  # enough for 400,000 lines without samples
CHECKSUM = b',"crc32":"'  # begins the last key of a line
REMEDY = "remove the line and resume the study, which repeats the trial"
USE = "being searched"  # inserted into the error message about a locked directory
HELD_OUT = 0.1  # fraction of documents in each of the validation and test sets


Title = Literal["search", "search with a budget", "sweep"]


class Kind(NamedTuple):
    """A kind of study."""

    title: Title
    resume: str  # the command that resumes it, without the directory


SEARCH = Kind("search", "microgpt evolve --resume")
BUDGETED = SEARCH._replace(title="search with a budget")
SWEEP = Kind("sweep", "microgpt sweep resume")
KINDS = {each.title: each for each in (SEARCH, BUDGETED, SWEEP)}

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Count = Annotated[int, Field(ge=1)]
OnMeasured = Callable[[int, Evaluation], None]  # called with the index and evaluation of a trial


class StudySettings(Stored):
    """Base class of the settings of a study, as stored in settings.json."""

    kind: ClassVar[Kind]
    more: ClassVar[Set[str]] = frozenset()  # settings that a resumed study may increase
    derived: ClassVar[Set[str]] = frozenset({"contamination"})  # fields that follow from the others

    input: Annotated[str, Field(pattern=r"^[^\x00]+$")]  # path of the documents
    column: str | None = None  # column or field with the documents
    text: TextKind = "lines"
    data_sha256: str  # SHA-256 of all documents
    val_fraction: float = HELD_OUT  # fraction of the documents in the validation set
    test_fraction: float = HELD_OUT
    gap: int = 0  # number of unused characters around held-out stretches of running text
    # Share of each held-out set whose texts are also read in training, as in TrainingPlan.
    contamination: dict[str, float | None] = Field({}, exclude_if=not_)
    train_winner: str | None = None  # path of the directory for the model of the winner
    trial_minutes: Annotated[float, Field(gt=0)] | None = None  # time limit of a training run

    def mark(self, name: str = "validation") -> str:
        """Return the mark of figures on a held-out set; empty if nothing of it was read."""
        return mark(self.contamination.get(name, 0.0))


class SettingsFile(Stored):
    """The content of settings.json; the fields are in the order of the keys in the file."""

    version: int = FORMAT_VERSION
    created_by: str
    created_at: str
    ended_at: str | None = None  # None until all trials are known and the winner is saved
    kind: Title
    settings: dict[str, object]

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the file; raise StudyError if it is missing or damaged."""
        path = directory / SETTINGS
        try:
            content = read_regular_file(path, MAX_SETTINGS_BYTES)
        except OSError as error:
            if (directory / "meta.json").exists():
                how = f"see it with: microgpt info {as_argument(directory)}"
                raise StudyError(f"{directory} is a model, not a study; {how}") from error
            if (directory / "run.json").exists():
                raise StudyError(
                    f"{directory} was written by an older version of microgpt; use that version"
                ) from error
            raise StudyError(
                f"{directory} is not a study: cannot read {SETTINGS}: {error.strerror}; studies "
                "are directories such as experiments/evolve_… and experiments/sweep_…"
            ) from error
        with raised_as(StudyError, path, form="JSON"):
            if problem := other_version(content, "version", FORMAT_VERSION):
                raise StudyError(problem)
            return cls.model_validate(json.loads(content))

    def encode(self) -> bytes:
        """Return the content of the file."""
        return f"{json.dumps(self.model_dump(), indent=2)}\n".encode()


S = TypeVar("S", bound=StudySettings)


class Study(Generic[S]):
    """The settings and trials of one study. The log file is next to the directory.

    A subclass names the type of the settings.
    """

    settings_type: type[S]
    repeats_failures = False  # whether a resumed study repeats trials that crashed or were refused

    def __init__(self, path: Path) -> None:
        """Read the settings of a study, given its directory or log file; see `open` and `read`."""
        self.directory = directory_of(path)
        self.log = self.directory.with_name(f"{self.directory.name}.log")
        self._file = SettingsFile.read(self.directory)
        kind, expected = KINDS[self._file.kind], self.settings_type.kind
        if kind != expected:
            raise StudyError(
                f"{self.directory} is a {kind.title}, not a {expected.title}; resume it with: "
                f"{kind.resume} {as_argument(self.directory)}"
            )
        with raised_as(StudyError, f"{self.directory / SETTINGS}: settings"):
            self.settings = self.settings_type.model_validate_json(json.dumps(self._file.settings))
        self._lines: dict[Key, TrialRecord] = {}
        self._lock: DirectoryLock | None = None

    @classmethod
    def begin(cls, folder: Path, name: str, settings: S, *, is_stamped: bool = True) -> Self:
        """Create a new study atomically.

        Args:
            folder: parent of its directory. Unfinished files of a killed process are removed.
            is_stamped: append a timestamp to the name, and a number if that name already exists.

        Raises:
            StudyError: the folder is a file.
            CheckpointError: the directory cannot be written.
        """
        if os.path.lexists(folder) and not folder.is_dir():
            raise StudyError(f"cannot save studies in {folder}: it is not a directory; rename it")
        file = SettingsFile(
            created_by=f"microgpt {version('microgpt-evolution')}",
            created_at=_now(),
            kind=settings.kind.title,
            settings=settings.model_dump(mode="json"),
        )
        staging = folder / SAVING  # removed by the next lock holder if this process is killed
        try:
            with DirectoryLock(folder):
                directory = _free_directory(folder, name) if is_stamped else folder / name
                try:
                    publish(staging / directory.name, {TRIALS: b"", SETTINGS: file.encode()})
                    (staging / directory.name).rename(directory)
                finally:
                    shutil.rmtree(staging, ignore_errors=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        try:
            return cls.open(directory)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a study to go on with it, given its directory or log file.

        Raises:
            StudyError: the study is missing, damaged or of another kind.
            CheckpointError: another process holds the lock, or the directory is not writable.
        """
        study = cls(path)
        # Lock before removing an incomplete last line: another process may still be writing it.
        study._lock = DirectoryLock(study.directory, USE)
        try:
            n_bytes, trials = study._read_records(), study.directory / TRIALS
            if trials.stat().st_size > n_bytes:
                os.truncate(trials, n_bytes)
        except BaseException as error:
            study.close()
            if isinstance(error, OSError):
                raise cannot_write(study.directory, error) from error
            raise
        return study

    @classmethod
    @contextmanager
    def at(cls, run_dir: str | os.PathLike[str] | None, settings: S) -> Iterator[Self]:
        """Yield a new or resumed study in a directory (default: a temporary one).

        Raises:
            ConfigError: the directory has a study with different settings, or with more of them.
        """
        with ExitStack() as stack:
            folder = run_dir or Path(stack.enter_context(TemporaryDirectory()), "run")
            directory = Path(folder).absolute()  # an objective may change the working directory
            if not os.path.lexists(directory):
                study = cls.begin(directory.parent, directory.name, settings, is_stamped=False)
                with study:
                    yield study
                return
            study = cls.open(directory)
            stack.enter_context(study)
            old = dict(study.settings)
            changes = {
                name: new
                for name, new in settings
                if new != old[name] and name not in settings.derived
            }
            for name, new in changes.items():
                if name not in settings.more or not _is_more(new, old[name]):
                    raise ConfigError(
                        f"{name} is {new!s:.80}, but the run in {directory} has "
                        f"{old[name]!s:.80}; use another run_dir"
                    )
            if changes:
                study.change(study.settings.model_copy(update=changes))
            yield study

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a study that may be running, without the incomplete last line of its trials.

        Raises:
            StudyError: the study is missing, damaged or of another kind.
        """
        study = cls(path)
        study._read_records()
        return study

    def close(self) -> None:
        """Release the lock."""
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def has_ended(self) -> bool:
        """Whether all its trials are known and its winner is saved."""
        return self._file.ended_at is not None

    @property
    def lines(self) -> tuple[TrialRecord, ...]:
        """The last record of each trial, in order of completion."""
        return tuple(self._lines.values())

    @property
    def n_known(self) -> int:
        """The number of trials that a resumed study reuses."""
        return sum(map(self._is_final, self.lines))

    @property
    def n_recorded(self) -> int:
        """The number of trials in the file; after an interrupt, it can be `n_known` + 1."""
        return len(whole_lines(self.directory))

    def known(self, trial: Trial) -> Evaluation | None:
        """Return the recorded evaluation of a trial, or None if the trial must be trained."""
        line = self._lines.get(trial.key)
        return line.evaluation if line and self._is_final(line) else None

    def _is_final(self, line: TrialRecord) -> bool:
        return not self.repeats_failures or line.status in ("ok", "diverged")

    def measure(
        self,
        trials: Sequence[Trial],
        objective: Objective,
        workers: Workers,
        on_measured: OnMeasured | None = None,
        *,
        should_stop: Event | None = None,
    ) -> list[Evaluation]:
        """Return the evaluations of distinct trials; train and record those that are not known.

        Args:
            on_measured: called with the index and the evaluation of each trial that was not known.
            should_stop: event that ends the training early; Ctrl-C and an exception in
                `on_measured` set it, too.

        Raises:
            StoppedError: should_stop was set before the last trial ended.
        """
        stop, found = should_stop or Event(), [self.known(trial) for trial in trials]
        todo = [i for i, evaluation in enumerate(found) if evaluation is None]
        flops = {i: objective.flops(trials[i]) for i in todo}

        def note(i: int, evaluation: Evaluation) -> None:
            found[i] = evaluation
            n_params = objective.n_params(trials[i].genome)
            self.add(trials[i], evaluation, flops=flops[i], n_params=n_params)
            if on_measured:
                on_measured(i, evaluation)

        for i in todo:
            if reason := objective.refusal(trials[i]):
                note(i, Evaluation("refused", reason=reason))
        # Start the longest trials first, so that workers are not idle while the last trial runs.
        todo = sorted((i for i in todo if found[i] is None), key=lambda i: -flops[i])
        minutes, remaining = self.settings.trial_minutes, [trials[i] for i in todo]
        with closing(workers.measure(objective, remaining, stop, minutes)) as measured:
            for place, evaluation in measured:
                if not stop.is_set():  # after a stop, the evaluation may be incomplete
                    note(todo[place], evaluation)
        known = [evaluation for evaluation in found if evaluation]
        if len(known) < len(found):  # it was stopped while the last trial ended
            raise StoppedError(f"stopped after {len(known)} of {len(found)} training runs")
        return known

    def add(self, trial: Trial, evaluation: Evaluation, *, flops: float, n_params: int) -> None:
        """Append the record of a trial; raise CheckpointError if it cannot be written."""
        record = TrialRecord.of(trial, evaluation, flops=flops, n_params=n_params)
        try:
            with (self.directory / TRIALS).open("ab") as file:
                file.write(with_checksum(record.model_dump_json(exclude_defaults=True).encode()))
        except OSError as error:
            raise cannot_write(self.directory, error) from error
        self._lines[record.key] = record

    def warn_of_failures(self) -> None:
        """Warn of trials without a result, once per reason."""
        failed = (line.reason for line in self.lines if line.reason and not line.is_ok)
        for reason in dict.fromkeys(failed):
            warnings.warn(f"a training run has no value: {reason}", stacklevel=3)

    def why_no_winner(self) -> str:
        """Return the error message for a search without a winner, with the first reason."""
        reason = next((line.reason for line in self.lines if line.reason and not line.is_ok), "")
        problem = "no organism finished training"
        return f"{problem}: {reason}" if reason else f"{problem}; use other documents"

    def change(self, settings: S) -> None:
        """Replace the settings; raise CheckpointError if they cannot be written."""
        self._save(ended_at=None, settings=settings.model_dump(mode="json"))
        self.settings = settings

    def end(self) -> None:
        """Record that the study has ended, unless that is recorded."""
        if not self.has_ended:
            self._save(ended_at=_now())

    def _save(self, **changes: Any) -> None:
        self._file = self._file.model_copy(update=changes)
        publish(self.directory, {SETTINGS: self._file.encode()})

    def _read_records(self) -> int:
        """Read the complete lines; return the number of their bytes."""
        located = whole_lines(self.directory)
        for where, content in located:
            with raised_as(StudyError, where, f"; {REMEDY}"):
                line = TrialRecord.model_validate_json(content)
            self._lines[line.key] = line
        return sum(len(content) + 1 for _, content in located)


def _is_more(new: Any, old: Any) -> bool:
    """Return whether a number is larger, or whether a tuple begins with all of the old one."""
    return bool(new[: len(old)] == old if isinstance(old, tuple) else new > old)


def directory_of(path: Path) -> Path:
    """Return the directory of a study, given the directory or the log file."""
    return path.with_suffix("") if path.suffix == ".log" else path


def kind_at(path: Path) -> Kind:
    """Return the kind of a study, given its directory or log file; raise StudyError if damaged."""
    return KINDS[SettingsFile.read(directory_of(path)).kind]


def facts_of(parts: Split) -> dict[str, Any]:
    """Return the settings of a study that follow from its documents."""
    return {
        "text": "lines" if parts.gap is None else "stream",
        "data_sha256": parts.facts.sha256,
        "val_fraction": parts.val_fraction,
        "test_fraction": parts.test_fraction,
        "gap": parts.gap or 0,
        "contamination": contamination(parts, ()),
    }


def whole_lines(directory: Path) -> list[tuple[str, bytes]]:
    """Return (location, line) for each complete line of trials.jsonl.

    Raises:
        StudyError: the file cannot be read, or a line has changed since it was written.
    """
    path = directory / TRIALS
    content = read(path, MAX_TRIALS_BYTES, StudyError)
    *lines, _ = content.split(b"\n")  # the last line is empty or incomplete
    located = [(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1)]
    for where, line in located:
        record = line.rpartition(CHECKSUM)[0] + b"}"
        if line + b"\n" != with_checksum(record):
            raise StudyError(f"{where}: crc32 differs, so the line was changed; {REMEDY}")
    return located


def with_checksum(record: bytes) -> bytes:
    """Return a line of trials.jsonl: a JSON object with its CRC-32 as the last key."""
    return record[:-1] + CHECKSUM + b'%08x"}\n' % crc32(record)


def _free_directory(folder: Path, name: str) -> Path:
    """Return a timestamped path for which neither a directory nor a log file exists."""
    stem = f"{name}_{datetime.now():%Y%m%d_%H%M%S}"
    paths = (folder / f for f in chain([stem], (f"{stem}_{i}" for i in count(2))))
    return next(path for path in paths if not (path.exists() or Path(f"{path}.log").exists()))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
