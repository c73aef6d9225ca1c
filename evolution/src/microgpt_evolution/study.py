"""A study: a directory that stores the settings and the trials of a search, sweep or research.

    .lock            lock file, held while a process executes the study
    settings.json    the settings
    trials.jsonl     one line per trial, appended when the trial ends
    .organisms/      states of training runs that can continue, or whose models are needed later

A resumed study repeats all steps from the beginning, but trains only trials without a record.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, Self, TypeVar

from microgpt import (
    SAVING,
    CheckpointError,
    ConfigError,
    DirectoryLock,
    TrainingPlan,
    TrainState,
    as_argument,
    cannot_write,
    checked,
    encode_state,
    n_cpus,
    publish,
    read_training,
)
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.objective import Objective
from microgpt_evolution.study_settings import SETTINGS, StudySettings, read_settings
from microgpt_evolution.trial import (
    TRIALS,
    Evaluation,
    Key,
    Trial,
    TrialRecord,
    append_trial,
    read_trials,
)
from microgpt_evolution.workers import Threads, Workers

STATES = ".organisms"

OnMeasured = Callable[[int, TrialRecord], None]  # called with the index of a trial and its record
S = TypeVar("S", bound=StudySettings)


class Study(Generic[S]):
    """The settings and trials of one study; its log file is beside its directory."""

    def __init__(self, directory: Path, kind: type[S], *, is_locked: bool = False) -> None:
        """Read a study, which can be running; raise StudyError if it is damaged or not of `kind`.

        An incomplete last line of trials.jsonl is ignored. A study must be locked to be continued.
        """
        self.directory = directory
        self.log = directory.with_name(f"{directory.name}.log")
        settings = read_settings(directory)
        if not isinstance(settings, kind):
            expected = kind.model_fields["kind"].default
            raise StudyError(
                f"{self.directory} is a {settings.kind}, not a {expected}; resume it with: "
                f"{settings.resume_command} {as_argument(self.directory)}, or see it with: "
                f"microgpt report {as_argument(self.directory)}"
            )
        self.settings: S = settings
        self._records: dict[Key, TrialRecord] = {}
        self._genomes: dict[str, Genome] = {}  # genome by trial id
        self._lock = DirectoryLock(self.directory, "being searched") if is_locked else None
        try:
            records, self._n_bytes = read_trials(self.directory)
            for record in records:
                self._know(record)
        except BaseException:
            self.__exit__()
            raise

    @classmethod
    def begin(cls, folder: Path, name: str, settings: S, *, is_stamped: bool = True) -> Self:
        """Create a study atomically and lock it; if `is_stamped`, its name contains a timestamp."""
        if os.path.lexists(folder) and not folder.is_dir():
            raise StudyError(f"cannot save studies in {folder}: it is not a directory; rename it")
        staging = folder / SAVING  # if this process is killed, the next lock holder removes it
        try:
            with DirectoryLock(folder):
                directory = _free_directory(folder, name) if is_stamped else folder / name
                try:
                    if not os.path.lexists(directory):  # exists if another process was faster
                        new = staging / directory.name
                        publish(new, {TRIALS: b"", SETTINGS: _encode(settings)})
                        new.rename(directory)
                finally:
                    shutil.rmtree(staging, ignore_errors=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        return cls(directory, type(settings), is_locked=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Release the lock."""
        if self._lock:
            self._lock.release()

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """The records of the trials, in order of completion."""
        return tuple(self._records.values())

    @property
    def has_ended(self) -> bool:
        """Whether the study has ended, and all of its trials are still recorded."""
        return self.settings.n_trials == len(self._records)

    def record_of(self, trial: Trial) -> TrialRecord | None:
        """Return the record of a trial, or None if the trial must be trained."""
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
        on_measured: OnMeasured = lambda i, record: None,
    ) -> list[TrialRecord]:
        """Return the records of distinct trials; train the trials that are not recorded."""
        found = {i: self.record_of(trial) for i, trial in enumerate(trials)}
        # Start the longest trials first, so that workers are not idle while the last trial runs.
        todo = [i for i, record in found.items() if record is None]
        flops = {i: objective.flops(trials[i]) for i in todo}
        todo.sort(key=lambda i: -flops[i])
        left = [trials[i] for i in todo]
        with closing(workers.measure(objective, left)) as measured:
            for place, evaluation in measured:
                trial = left[place]
                n_params = objective.n_params(trial.genome)
                record = self.add(trial, evaluation, flops[todo[place]], n_params)
                found[todo[place]] = record
                on_measured(todo[place], record)
        return [record for record in found.values() if record]

    def add(self, trial: Trial, evaluation: Evaluation, flops: float, n_params: int) -> TrialRecord:
        """Save the state of a trial's training run, if any, then append the trial's record."""
        if evaluation.checkpoint and evaluation.losses:
            plan, state = evaluation.checkpoint
            publish(self.directory / STATES / trial.id, encode_state(plan, state, "running"))
        record = TrialRecord.join(trial, evaluation, flops=flops, n_params=n_params)
        self._n_bytes = append_trial(self.directory, record, self._n_bytes)
        self._know(record)
        return record

    def state(self, id: str) -> tuple[TrainingPlan, TrainState] | None:
        """Return the saved training plan and state of an organism, or None if there are none."""
        try:
            return read_training(self.directory / STATES / id)[:2]
        except CheckpointError:
            return None

    def forget_state(self, id: str) -> None:
        """Remove the saved state of an organism's training run, if any."""
        shutil.rmtree(self.directory / STATES / id, ignore_errors=True)

    def why_no_winner(self) -> str:
        """Return the error message of a study without a winner, with the first failure's reason."""
        reasons = (each.reason for each in self.records if each.reason and not each.is_ok)
        return f"no training run completed: {next(reasons, 'use other documents')}"

    def extend(self, changes: Mapping[str, Any]) -> None:
        """Increase settings in `more`, replace settings in `free`, refuse all other changes."""
        old = dict(self.settings)
        found = {name: value for name, value in changes.items() if value != old[name]}
        for name, new in found.items():
            before, is_possible = old[name], name in self.settings.free
            if name in self.settings.more:
                is_possible = new[: len(before)] == before if name == "seeds" else new > before
            if not is_possible:
                size = len if name == "seeds" else str
                raise ConfigError(
                    f"{name} is {size(new)!s:.80}, but {self.directory} has "
                    f"{size(before)!s:.80}; pass more, or begin a new study"
                )
        if found:
            self.change(**found)

    def change(self, **changes: Any) -> None:
        """Replace settings and write settings.json; raise CheckpointError if this fails."""
        self.settings = self.settings.model_copy(update={"n_trials": None, **changes})
        publish(self.directory, {SETTINGS: _encode(self.settings)})

    def end(self) -> None:
        """Record that the study has ended, unless this is already recorded."""
        if not self.has_ended:
            self.change(n_trials=len(self._records))

    def _know(self, record: TrialRecord) -> None:
        self._records[record.key] = record
        if record.id:
            self._genomes[record.id] = record.genome


def _encode(settings: StudySettings) -> bytes:
    return f"{settings.model_dump_json(indent=2)}\n".encode()


def _free_directory(folder: Path, name: str) -> Path:
    """Return a timestamped path for which neither a directory nor a log file exists."""
    stem = f"{name}_{datetime.now():%Y%m%d_%H%M%S}"
    paths = (folder / f for f in chain([stem], (f"{stem}_{i}" for i in count(2))))
    return next(path for path in paths if not (path.exists() or Path(f"{path}.log").exists()))


@contextmanager
def open_in_python(
    run_dir: str | os.PathLike[str] | None, settings: S, workers: int | Workers | None = None
) -> Iterator[tuple[Study[S], Workers]]:
    """Yield the study in `run_dir`, by default a temporary one, and workers; then end the study."""
    if not isinstance(workers, Workers):
        workers = Threads(n_cpus() if workers is None else checked("workers", workers, int))
    with ExitStack() as stack:
        directory = Path(run_dir or Path(stack.enter_context(TemporaryDirectory()), "run"))
        if os.path.lexists(directory):
            study = Study(directory, type(settings), is_locked=True)
        else:
            study = Study[S].begin(directory.parent, directory.name, settings, is_stamped=False)
        stack.enter_context(study)
        study.extend({name: value for name, value in settings if name not in settings.facts})
        yield study, workers
        study.end()
