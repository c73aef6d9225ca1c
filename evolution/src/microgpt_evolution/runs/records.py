"""The records of a search: the evaluation of each genome with each seed."""

from pathlib import Path
from typing import Any

from microgpt.files.atomic_files import as_argument
from microgpt.files.directory_lock import DirectoryLock
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation
from microgpt_evolution.runs.evaluation_record import decode, encode_evaluation
from microgpt_evolution.runs.run_directory import RunDirectory

GENOME = "genome.json"
IMPORTED_FROM = "imported_from"  # the setting that tells a run of somebody else's
SWEEP = "sweep"  # the setting that tells a sweep


class Records(RunDirectory):
    """The records of one search; see `RunDirectory`."""

    def __init__(self, directory: Path, settings: dict[str, Any], lock: DirectoryLock) -> None:
        super().__init__(directory, settings, lock)
        self._known: dict[tuple[Genome, int | None], Evaluation] = {}

    @property
    def n_known(self) -> int:
        """How many evaluations are on record."""
        return len(self._known)

    def known(self, trial: Trial[Genome]) -> Evaluation | None:
        """Return the evaluation of a trial if it is on record."""
        return self._known.get((trial.config, trial.seed))

    def add(
        self, trial: Trial[Genome], evaluation: Evaluation, *, flops: int, n_params: int
    ) -> None:
        """Append an evaluation; see `RunDirectory`."""
        self._append(encode_evaluation(trial, evaluation, flops))
        self._known[trial.config, trial.seed] = evaluation

    @classmethod
    def _check(cls, settings: dict[str, Any], path: Path) -> None:
        if IMPORTED_FROM in settings:
            raise RunError(
                f"{path} was imported from a log, so it cannot go on; for its best: "
                f"microgpt genome use {as_argument(path)}"
            )
        if SWEEP in settings:
            raise RunError(
                f"{path} is a sweep; go on with: microgpt sweep resume {as_argument(path)}"
            )

    def _take(self, line: bytes, where: str) -> None:
        entry = decode(line, where, self.settings)
        self._known[entry.genome, entry.seed] = entry.evaluation
