"""The records of a sweep: what it is, and what each training came to."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microgpt.config import MAX_SEED
from microgpt.error_format import first_problem
from microgpt.errors import ConfigError
from microgpt.files.atomic_files import as_argument, publish
from microgpt.files.directory_lock import DirectoryLock
from microgpt_evolution.errors import RunError
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation
from microgpt_evolution.runs.records import SWEEP
from microgpt_evolution.runs.run_directory import RUN, RunDirectory, read_settings, whole_lines
from microgpt_evolution.sweep.config import SETTINGS, SweepConfig
from microgpt_evolution.sweep.result import SweepResult, decode, encode

TABLE = "evaluations.csv"
HELD_OUT = 0.1  # the share that losses are measured on, and that which is left for others
OUTCOME = ("val_loss", "last_loss", "train_loss", "samples", "seconds", "cpu_seconds")
SAMPLES_BETWEEN = " "  # in a cell of the table

Kind = Literal["steps", "params", "grid"]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class SweepSettings(BaseModel):
    """The settings of a sweep, as its run.json has them."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    sweep: Kind  # what was asked for
    points: Annotated[tuple[SweepConfig, ...], Field(min_length=1)]  # what is trained, in order
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]  # with each of these
    input: Annotated[str, Field(pattern=r"^[^\x00]+$")]  # where the documents were when it began
    chat: bool = False  # whether they are conversations
    data_sha256: str  # of all documents
    val_fraction: float = HELD_OUT  # the share that losses are measured on
    test_fraction: float = HELD_OUT  # the share that is left alone

    @property
    def tasks(self) -> list[tuple[SweepConfig, int]]:
        """What is to be trained: each point with each seed, in the order of the tables."""
        return [(point, seed) for point in self.points for seed in self.seeds]

    @property
    def documents(self) -> tuple[str, float, float]:
        """What tells whether losses of two sweeps can be compared."""
        return self.data_sha256, self.val_fraction, self.test_fraction

    @classmethod
    def parse(cls, settings: dict[str, Any], directory: Path) -> Self:
        """Return the settings of a run, if it is a sweep.

        Raises:
            RunError: it is none, or they are damaged.
        """
        if SWEEP not in settings:
            raise RunError(f"{directory} is no sweep, but a run of evolution")
        where = f"{directory / RUN}: settings"
        try:
            return cls.model_validate_json(json.dumps(settings))
        except ValidationError as error:
            raise RunError(f"{where}.{first_problem(error)}") from error
        except ConfigError as error:
            raise RunError(f"{where}.points: {error}") from error


class SweepRecords(RunDirectory):
    """The records of one sweep; see `RunDirectory`.

    Attributes:
        sweep: what it is.
    """

    def __init__(self, directory: Path, settings: dict[str, Any], lock: DirectoryLock) -> None:
        super().__init__(directory, settings, lock)
        self.sweep = SweepSettings.parse(settings, directory)
        self._results: dict[tuple[SweepConfig, int], SweepResult] = {}

    @property
    def n_known(self) -> int:
        """How many trainings need not be made again."""
        return sum(result.is_final for result in self._results.values())

    @property
    def results(self) -> list[SweepResult]:
        """What is on record, in the order of the sweep."""
        return [self._results[task] for task in self.sweep.tasks if task in self._results]

    def result(self, trial: Trial[SweepConfig]) -> SweepResult:
        """Return the result of a trial that is on record."""
        return self._results[trial.config, trial.seed]

    def known(self, trial: Trial[SweepConfig]) -> Evaluation | None:
        """Return the evaluation of a trial if it is on record and would be the same anywhere."""
        result = self._results.get((trial.config, trial.seed))
        if result is None or not result.is_final:
            return None
        return Evaluation(result.status, **{name: getattr(result, name) for name in OUTCOME})

    def todo(self) -> list[Trial[SweepConfig]]:
        """Return what is still to be trained."""
        trials = [Trial(point, seed) for point, seed in self.sweep.tasks]
        return [trial for trial in trials if not self.known(trial)]

    def add(
        self, trial: Trial[SweepConfig], evaluation: Evaluation, *, flops: int, n_params: int
    ) -> None:
        """Append an evaluation; see `RunDirectory`."""
        is_ok = evaluation.status == "ok"
        outcome = {name: getattr(evaluation, name) for name in OUTCOME} if is_ok else {}
        self.add_result(
            SweepResult(
                point=trial.config,
                seed=trial.seed,
                status=evaluation.status,
                reason=evaluation.reason or None,
                n_params=n_params,
                flops=flops,
                **outcome,
            )
        )

    def add_result(self, result: SweepResult) -> None:
        """Append a result; see `RunDirectory.add`."""
        self._append(encode(result))
        self._results[result.point, result.seed] = result

    def write_table(self) -> None:
        """Write all that is known as CSV.

        Raises:
            CheckpointError: it cannot be written.
        """
        publish(self.directory, {TABLE: _as_csv(self.results).encode()})

    @classmethod
    def _check(cls, settings: dict[str, Any], path: Path) -> None:
        if SWEEP not in settings:
            raise RunError(
                f"{path} is a run of evolution; go on with: "
                f"microgpt evolve --resume {as_argument(path)}"
            )

    def _take(self, line: bytes, where: str) -> None:
        result = decode(line, where)
        self._results[result.point, result.seed] = result


def read_sweep(directory: Path) -> tuple[SweepSettings, list[SweepResult]]:
    """Return what a sweep is, and what is on record, in order: it may still be at work.

    Raises:
        RunError: there is no sweep, or its records are damaged. A last line that is torn, or just
            being written, is left out.
    """
    sweep = SweepSettings.parse(read_settings(directory), directory)
    lines = [decode(line, where) for where, line in whole_lines(directory)]
    results = {(result.point, result.seed): result for result in lines}
    return sweep, [results[task] for task in sweep.tasks if task in results]


def _as_csv(results: Sequence[SweepResult]) -> str:
    outcomes = [name for name in SweepResult.model_fields if name != "point"]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*SETTINGS, *outcomes])
    for result in results:
        cells = vars(result) | {"samples": SAMPLES_BETWEEN.join(result.samples)}
        table.writerow([*asdict(result.point).values(), *(cells[name] for name in outcomes)])
    return text.getvalue()
