"""The run directory of a sweep: settings and results."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from microgpt.config import MAX_SEED
from microgpt.error_format import first_problem
from microgpt.errors import ConfigError
from microgpt.files.atomic_files import as_argument, publish
from microgpt.files.directory_lock import DirectoryLock
from microgpt_evolution.errors import RunError
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation, Status
from microgpt_evolution.runs.evaluation_record import REMEDY
from microgpt_evolution.runs.records import SWEEP
from microgpt_evolution.runs.run_directory import RUN, RunDirectory, read_settings, whole_lines
from microgpt_evolution.sweep.config import SETTINGS, SweepConfig

TABLE = "evaluations.csv"
HELD_OUT = 0.1  # fraction of documents in each of the validation and test splits
OUTCOME = ("val_loss", "last_loss", "train_loss", "samples", "seconds", "cpu_seconds")

Kind = Literal["steps", "params", "grid"]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
# These limits exceed any plausible value but keep sums and squares finite.
_Count = Annotated[int, Field(ge=1, le=10**30)]
_Loss = Annotated[float, Field(ge=0, le=1e100)]
_Seconds = Annotated[float, Field(ge=0, le=1e15)]
_STRICT = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, serialize_by_alias=True)


class SweepSettings(BaseModel):
    """The settings of a sweep, as stored in run.json."""

    model_config = _STRICT

    sweep: Kind
    configs: tuple[SweepConfig, ...] = Field(min_length=1, alias="points")  # trained with each seed
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    input: Annotated[str, Field(pattern=r"^[^\x00]+$")]  # path of the input file when the run began
    chat: bool = False  # whether the documents are conversations
    column: str | None = None  # table column or JSON field that contains the documents
    data_sha256: str  # SHA-256 of all documents
    val_fraction: float = HELD_OUT  # fraction of documents used for the held-out loss
    test_fraction: float = HELD_OUT  # fraction of documents in the unused test split

    @property
    def tasks(self) -> list[tuple[SweepConfig, int]]:
        """All (configuration, seed) pairs, in table order."""
        return [(config, seed) for config in self.configs for seed in self.seeds]

    @property
    def documents(self) -> tuple[str, float, float]:
        """A key for the data and its split; only losses with the same key are comparable."""
        return self.data_sha256, self.val_fraction, self.test_fraction

    @classmethod
    def parse(cls, settings: dict[str, Any], directory: Path) -> Self:
        """Parse the settings of a sweep; raise RunError if the run is not a sweep or is damaged."""
        if SWEEP not in settings:
            raise RunError(f"{directory} is a search, not a sweep; use a run of microgpt sweep")
        try:
            return cls.model_validate_json(json.dumps(settings))
        except ValidationError as error:
            raise RunError(f"{directory / RUN}: settings.{first_problem(error)}") from error
        except ConfigError as error:
            raise RunError(f"{directory / RUN}: settings.points: {error}") from error


class SweepResult(BaseModel):
    """The result of one training run, stored as a line of evaluations.jsonl.

    Losses are in nats per token; they are None unless the status is "ok".
    """

    model_config = _STRICT

    config: SweepConfig = Field(alias="point")
    seed: int
    status: Status
    reason: str | None = None  # error message on one line
    n_params: _Count
    flops: _Count
    val_loss: _Loss | None = None  # held-out loss of the final weights
    last_loss: _Loss | None = None  # training loss of the last step
    train_loss: _Loss | None = None  # mean training loss of the last 100 steps
    samples: tuple[str, ...] = ()
    seconds: _Seconds = 0.0  # training time, without evaluation
    cpu_seconds: _Seconds = 0.0

    @model_validator(mode="after")
    def _has_losses(self) -> Self:
        """Raise ConfigError if the status is "ok" but a loss is missing."""
        if self.is_ok and None in (self.val_loss, self.last_loss, self.train_loss):
            raise ConfigError("status is ok, but a loss is missing")
        return self

    @property
    def is_ok(self) -> bool:
        """Whether training finished with finite losses."""
        return self.status == "ok"

    @property
    def is_final(self) -> bool:
        """Whether the result can be reused, because it does not depend on the machine."""
        return self.status in ("ok", "diverged")

    @classmethod
    def parse(cls, line: bytes, where: str) -> Self:
        """Parse a line of evaluations.jsonl; raise RunError with the location on failure."""
        try:
            return cls.model_validate_json(line)
        except (ValidationError, ConfigError) as error:
            problem = first_problem(error) if isinstance(error, ValidationError) else error
            raise RunError(f"{where}: {problem}; {REMEDY}") from error


class SweepRecords(RunDirectory):
    """The records of a sweep; see `RunDirectory`."""

    def __init__(self, directory: Path, settings: dict[str, Any], lock: DirectoryLock) -> None:
        super().__init__(directory, settings, lock)
        self.sweep = SweepSettings.parse(settings, directory)
        self._results: dict[tuple[SweepConfig, int], SweepResult] = {}

    @property
    def n_known(self) -> int:
        """The number of recorded results that a resumed sweep reuses."""
        return sum(result.is_final for result in self._results.values())

    @property
    def results(self) -> list[SweepResult]:
        """The recorded results, in the order of `SweepSettings.tasks`."""
        return [self._results[task] for task in self.sweep.tasks if task in self._results]

    def result(self, trial: Trial[SweepConfig]) -> SweepResult:
        """Return the recorded result of a trial."""
        return self._results[trial.config, trial.seed]

    def known(self, trial: Trial[SweepConfig]) -> Evaluation | None:
        """Return the recorded evaluation of a trial if a resumed sweep can reuse it, else None."""
        result = self._results.get((trial.config, trial.seed))
        if result is None or not result.is_final:
            return None
        return Evaluation(result.status, **{name: getattr(result, name) for name in OUTCOME})

    def todo(self) -> list[Trial[SweepConfig]]:
        """Return the trials that must still be run."""
        trials = [Trial(config, seed) for config, seed in self.sweep.tasks]
        return [trial for trial in trials if not self.known(trial)]

    def add(
        self, trial: Trial[SweepConfig], evaluation: Evaluation, *, flops: int, n_params: int
    ) -> None:
        """Append an evaluation; raise CheckpointError if it cannot be written."""
        line: dict[str, Any] = {"point": trial.config, "seed": trial.seed}
        line |= {"status": evaluation.status, "reason": evaluation.reason or None}
        if evaluation.status == "ok":
            line |= {name: getattr(evaluation, name) for name in OUTCOME}
        self.add_result(SweepResult(**line, n_params=n_params, flops=flops))

    def add_result(self, result: SweepResult) -> None:
        """Append a result; raise CheckpointError if it cannot be written."""
        self._append(result.model_dump_json().encode() + b"\n")
        self._results[result.config, result.seed] = result

    def write_table(self) -> None:
        """Write the results to evaluations.csv; raise CheckpointError on failure."""
        outcomes = [name for name in SweepResult.model_fields if name != "config"]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow([*SETTINGS, *outcomes])
        for result in self.results:
            cells = vars(result) | {"samples": " ".join(result.samples)}
            table.writerow([*asdict(result.config).values(), *(cells[name] for name in outcomes)])
        publish(self.directory, {TABLE: text.getvalue().encode()})

    @classmethod
    def _check(cls, settings: dict[str, Any], path: Path) -> None:
        if SWEEP not in settings:
            raise RunError(
                f"{path} is a search, not a sweep; resume it with: "
                f"microgpt evolve --resume {as_argument(path)}"
            )

    def _take(self, line: bytes, where: str) -> None:
        result = SweepResult.parse(line, where)
        self._results[result.config, result.seed] = result


def read_sweep(directory: Path) -> tuple[SweepSettings, list[SweepResult]]:
    """Return the settings and the ordered results of a sweep, which may still be running.

    Raises:
        RunError: there is no sweep, or its records are damaged beyond an incomplete last line.
    """
    sweep = SweepSettings.parse(read_settings(directory), directory)
    lines = [SweepResult.parse(line, where) for where, line in whole_lines(directory)]
    results = {(result.config, result.seed): result for result in lines}
    return sweep, [results[task] for task in sweep.tasks if task in results]
