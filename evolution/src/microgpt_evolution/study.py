"""A study: a directory of settings and trials, and what trains the trials that it lacks.

    .lock            lock file, held while a process executes the study
    settings.json    the settings
    trials.jsonl     one line per trial, appended when the trial ends

A resumed study starts from the beginning and reuses the recorded trials.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, Generic, Self, TypeVar

from microgpt import SAVING, ConfigError, DirectoryLock, as_argument, cannot_write, publish
from microgpt_evolution import training_states
from microgpt_evolution.errors import StoppedError, StudyError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.objective import Objective
from microgpt_evolution.study_settings import SETTINGS, StudySettings, directory_of, read_settings
from microgpt_evolution.trial import Evaluation, Key, Trial, TrialRecord
from microgpt_evolution.trials_file import TRIALS, append_trial, read_trials
from microgpt_evolution.workers import Workers

USE = "being searched"  # inserted into the error message about a locked directory

OnMeasured = Callable[[int, TrialRecord], None]  # called with the index and record of a trial
S = TypeVar("S", bound=StudySettings)


class Study(Generic[S]):
    """The settings and trials of one study. The log file is next to the directory."""

    def __init__(self, path: Path, kind: type[S]) -> None:
        """Read the settings of a study; see `open` and `read`.

        Args:
            path: its directory or log file.
            kind: the type of its settings.
        """
        self.directory = directory_of(path)
        self.log = self.directory.with_name(f"{self.directory.name}.log")
        settings = read_settings(self.directory)
        if not isinstance(settings, kind):
            expected = kind.model_fields["kind"].default
            raise StudyError(
                f"{self.directory} is a {settings.kind}, not a {expected}; resume it with: "
                f"{settings.resume_command} {as_argument(self.directory)}"
            )
        self.settings: S = settings
        self._records: dict[Key, TrialRecord] = {}
        self._genomes: dict[str, Genome] = {}  # by id of the trial
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
        staging = folder / SAVING  # removed by the next lock holder if this process is killed
        try:
            with DirectoryLock(folder):
                directory = _free_directory(folder, name) if is_stamped else folder / name
                try:
                    if not os.path.lexists(directory):  # else another process has just begun it
                        new = staging / directory.name
                        publish(new, {TRIALS: b"", SETTINGS: _encode(settings)})
                        new.rename(directory)
                finally:
                    shutil.rmtree(staging, ignore_errors=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        return cls.open(directory, type(settings))

    @classmethod
    def open(cls, path: Path, kind: type[S]) -> Self:
        """Open a study to go on with it, given its directory or log file.

        Raises:
            StudyError: the study is missing, damaged or of another kind.
            CheckpointError: another process holds the lock, or the directory is not writable.
        """
        study = cls(path, kind)
        # Lock before removing an incomplete last line: another process may still be writing it.
        study._lock = DirectoryLock(study.directory, USE)
        try:
            n_bytes, trials = study._read_trials(), study.directory / TRIALS
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
            if os.path.lexists(directory):
                study = cls.open(directory, type(settings))
            else:
                study = cls.begin(directory.parent, directory.name, settings, is_stamped=False)
            stack.enter_context(study)
            changes = dict[str, Any]()
            for name, new in settings:
                old = getattr(study.settings, name)
                if name in settings.facts or new == old:
                    continue
                if name not in settings.more or not _is_more(new, old):
                    there, here = f"{old!s:.80}", f"{new!s:.80}"
                    differs = f"is {here}, but the run in {directory} has {there}"
                    if there == here:
                        differs = f"is not that of the run in {directory}"
                    raise ConfigError(f"{name} {differs}; use another run_dir")
                changes[name] = new
            if changes:
                study.change(**changes)
            yield study

    @classmethod
    def read(cls, path: Path, kind: type[S]) -> Self:
        """Read a study that may be running, without the incomplete last line of its trials.

        Raises:
            StudyError: the study is missing, damaged or of another kind.
        """
        study = cls(path, kind)
        study._read_trials()
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
    def records(self) -> tuple[TrialRecord, ...]:
        """The records of the trials, in order of completion."""
        return tuple(self._records.values())

    @property
    def has_ended(self) -> bool:
        """Whether the winner is saved, and no record was removed since."""
        return self.settings.n_trials == len(self._records)

    def known(self, trial: Trial) -> TrialRecord | None:
        """Return the record of a trial, or None if the trial must be trained.

        Raises:
            StudyError: a different genome is recorded.
        """
        if self._genomes.get(trial.id, trial.genome) != trial.genome:
            raise StudyError(
                f"{self.directory} has a different genome for {trial.id}, from another study or "
                "another version of microgpt or NumPy; start a new search"
            )
        return self._records.get(trial.key)

    def measure(
        self,
        trials: Sequence[Trial],
        objective: Objective,
        workers: Workers,
        on_measured: OnMeasured | None = None,
        *,
        should_stop: Event | None = None,
    ) -> list[TrialRecord]:
        """Return the records of distinct trials; train those that are not known.

        Args:
            on_measured: called with the index and the record of each trial that was not known.
            should_stop: event that ends the training early; Ctrl-C and an exception in
                `on_measured` set it, too.

        Raises:
            StoppedError: should_stop was set before the last trial ended.
        """
        stop = should_stop or Event()
        found = [self.known(trial) for trial in trials]
        todo = [i for i, record in enumerate(found) if record is None]

        def note(i: int, evaluation: Evaluation) -> None:
            n_params = objective.n_params(trials[i].genome)
            record = self.add(trials[i], evaluation, objective.flops(trials[i]), n_params)
            found[i] = record
            if on_measured:
                on_measured(i, record)

        for i in todo:
            if reason := objective.refusal(trials[i]):
                note(i, Evaluation("refused", reason=reason))
        # Start the longest trials first, so that workers are not idle while the last trial runs.
        todo = [i for i in todo if found[i] is None]
        todo.sort(key=lambda i: -objective.flops(trials[i]))
        minutes, remaining = self.settings.trial_minutes, [trials[i] for i in todo]
        with closing(workers.measure(objective, remaining, stop, minutes)) as measured:
            for place, evaluation in measured:
                if not stop.is_set():  # after a stop, the evaluation may be incomplete
                    note(todo[place], evaluation)
        known = [record for record in found if record]
        if len(known) < len(found):  # it was stopped while the last trial ended
            raise StoppedError(f"stopped after {len(known)} of {len(found)} training runs")
        return known

    def add(self, trial: Trial, evaluation: Evaluation, flops: float, n_params: int) -> TrialRecord:
        """Append the record of a trial, after its state, if it can go on.

        Args:
            flops: operations of the whole trial.

        Raises:
            CheckpointError: the record cannot be written.
        """
        if evaluation.checkpoint and evaluation.losses:
            training_states.keep(self.directory, trial.id, *evaluation.checkpoint)
        record = TrialRecord.of(trial, evaluation, flops=flops, n_params=n_params)
        append_trial(self.directory, record)
        self._know(record)
        return record

    def forget_crashes(self) -> None:
        """Repeat the trials that crashed; their new records replace the old ones."""
        self._records = {key: r for key, r in self._records.items() if r.status != "crashed"}

    def warn_of_failures(self) -> None:
        """Warn of trials without a result, once per reason."""
        for reason in self._reasons():
            warnings.warn(f"a training run has no value: {reason}", stacklevel=3)

    def why_no_winner(self) -> str:
        """Return the error message for a study without a winner, with the first reason."""
        problem, *reasons = "no training run completed", *self._reasons()
        return f"{problem}: {reasons[0]}" if reasons else f"{problem}; use other documents"

    def change(self, **changes: Any) -> None:
        """Replace settings; raise CheckpointError if they cannot be written."""
        self.settings = self.settings.model_copy(update={"n_trials": None, **changes})
        publish(self.directory, {SETTINGS: _encode(self.settings)})

    def end(self) -> None:
        """Record that the study has ended, unless that is recorded."""
        if not self.has_ended:
            self.change(n_trials=len(self._records))

    def _reasons(self) -> list[str]:
        reasons = (each.reason for each in self.records if each.reason and not each.is_ok)
        return [*dict.fromkeys(reasons)]

    def _know(self, record: TrialRecord) -> None:
        self._records[record.key] = record
        if record.id:
            self._genomes[record.id] = record.genome

    def _read_trials(self) -> int:
        """Read the complete lines; return the number of their bytes."""
        records, n_bytes = read_trials(self.directory)
        for record in records:
            self._know(record)
        return n_bytes


def _encode(settings: StudySettings) -> bytes:
    return f"{settings.model_dump_json(indent=2)}\n".encode()


def _is_more(new: Any, old: Any) -> bool:
    """Return whether a number is larger, or whether a tuple begins with all of the old one."""
    return bool(new[: len(old)] == old if isinstance(old, tuple) else new > old)


def _free_directory(folder: Path, name: str) -> Path:
    """Return a timestamped path for which neither a directory nor a log file exists."""
    stem = f"{name}_{datetime.now():%Y%m%d_%H%M%S}"
    paths = (folder / f for f in chain([stem], (f"{stem}_{i}" for i in count(2))))
    return next(path for path in paths if not (path.exists() or Path(f"{path}.log").exists()))
