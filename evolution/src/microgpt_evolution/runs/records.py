"""Records of a search, which other processes can read while the search runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt.files.atomic_files import as_argument
from microgpt.files.directory_lock import DirectoryLock
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation
from microgpt_evolution.runs.evaluation_record import EvaluationRecord, decode
from microgpt_evolution.runs.run_directory import (
    RunDirectory,
    directory_of,
    read_settings,
    whole_lines,
)

GENOME = "genome.json"
IMPORTED_FROM = "imported_from"  # key in the settings of imported runs
SWEEP = "sweep"  # key in the settings of sweeps


class Records(RunDirectory):
    """The records of a search; see `RunDirectory`."""

    def __init__(self, directory: Path, settings: dict[str, Any], lock: DirectoryLock) -> None:
        super().__init__(directory, settings, lock)
        self._known: dict[tuple[Genome, int | None], Evaluation] = {}

    @property
    def n_known(self) -> int:
        """The number of recorded evaluations."""
        return len(self._known)

    def known(self, trial: Trial[Genome]) -> Evaluation | None:
        """Return the recorded evaluation of a trial, or None."""
        return self._known.get((trial.config, trial.seed))

    def add(
        self, trial: Trial[Genome], evaluation: Evaluation, *, flops: int, n_params: int
    ) -> None:
        """Append an evaluation; raise CheckpointError if it cannot be written."""
        record = EvaluationRecord.of(
            evaluation,
            id=trial.id,
            origin=trial.origin,
            parents=trial.parents,
            genome=trial.config,
            seed=trial.seed,
            flops=flops,
            seconds=round(evaluation.seconds, 4),
            cpu_seconds=round(evaluation.cpu_seconds, 4),
        )
        self._append(record.encode())
        self._known[trial.config, trial.seed] = evaluation

    @classmethod
    def _check(cls, settings: dict[str, Any], path: Path) -> None:
        if IMPORTED_FROM in settings:
            raise RunError(
                f"{path} was imported from a log and cannot be resumed; use its best genome with: "
                f"microgpt genome use {as_argument(path)}"
            )
        if SWEEP in settings:
            raise RunError(
                f"{path} is a sweep, not a search; resume it with: "
                f"microgpt sweep resume {as_argument(path)}"
            )

    def _take(self, line: bytes, where: str) -> None:
        record = decode(line, where, self.settings)
        self._known[record.genome, record.seed] = record.evaluation


@dataclass(frozen=True)
class RecordedRun:
    """Settings and evaluations of a search, read without locking the run directory."""

    directory: Path
    settings: dict[str, Any]
    entries: tuple[EvaluationRecord, ...]  # evaluations, in order of completion

    @property
    def is_imported(self) -> bool:
        """Whether the run was imported from a log; such runs have no seeds or times."""
        return IMPORTED_FROM in self.settings


def read_recorded(path: Path) -> RecordedRun:
    """Read the records of a search, given the run directory or its log file.

    Raises:
        RunError: the run is missing, is a sweep, is damaged, or has no evaluations yet.
    """
    directory = directory_of(path)
    settings = read_settings(directory)
    if SWEEP in settings:
        raise RunError(f"{directory} is a sweep, not a search; use a run of microgpt evolve")
    entries = tuple(decode(line, where, settings) for where, line in whole_lines(directory))
    if not entries:
        raise RunError(f"{directory} has no evaluations yet; try again later")
    return RecordedRun(directory, settings, entries)
