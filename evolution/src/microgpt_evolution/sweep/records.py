"""The run directory of a sweep: settings and results."""

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from microgpt import ConfigError, TextKind, publish
from microgpt_evolution.organism import Evaluation, Status, Trial
from microgpt_evolution.runs.run_directory import (
    SWEEP,
    InputPath,
    Line,
    RunDirectory,
    RunSettings,
    Seed,
)
from microgpt_evolution.runs.run_files import Stored
from microgpt_evolution.sweep.config import SETTINGS, SweepConfig

TABLE = "evaluations.csv"
HELD_OUT = 0.1  # fraction of documents in each of the validation and test splits
OUTCOME = ("val_loss", "last_loss", "train_loss", "value", "samples", "seconds", "cpu_seconds")

Kind = Literal["steps", "params", "grid"]
# These limits exceed any plausible value but keep sums and squares finite.
_Count = Annotated[int, Field(ge=1, le=10**30)]
_Loss = Annotated[float, Field(ge=0, le=1e100)]
_Value = Annotated[float, Field(ge=-1e100, le=1e100)]
_Seconds = Annotated[float, Field(ge=0, le=1e15)]


class ChosenSettings(Stored):
    """The settings that `train` chooses for the documents; they are the center of a grid."""

    base: SweepConfig
    budget: Annotated[float, Field(gt=0)]  # operations for which they were chosen
    swept: tuple[str, ...]  # names of the settings with several values
    text: TextKind
    vocab_size: int | None  # requested size of the BPE vocabulary; None for characters
    gap: int  # number of unused characters around held-out stretches of running text


class SweepSettings(RunSettings):
    """The settings of a sweep, as stored in run.json."""

    kind = SWEEP
    genomes = "points"

    sweep: Kind
    configs: tuple[SweepConfig, ...] = Field(min_length=1, alias="points")  # trained with each seed
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    input: InputPath
    chat: bool = False  # whether the documents are conversations
    column: str | None = None  # table column or JSON field that contains the documents
    me: str | None = None  # who the assistant is in an exported chat
    separator: str | None = None  # between documents of several lines
    data_sha256: str  # SHA-256 of all documents
    val_fraction: float = HELD_OUT  # fraction of documents used for the held-out loss
    test_fraction: float = HELD_OUT  # fraction of documents in the unused test split
    has_function: bool = False  # whether the user passes an objective, from Python
    chosen: ChosenSettings | None = None  # None if the others are Karpathy's

    @property
    def tasks(self) -> list[tuple[SweepConfig, int]]:
        """All (configuration, seed) pairs, in table order."""
        return [(config, seed) for config in self.configs for seed in self.seeds]

    @property
    def documents(self) -> tuple[object, ...]:
        """A key for the data and its split; only losses with the same key are comparable."""
        how = self.chosen and (self.chosen.text, self.chosen.gap, self.chosen.vocab_size)
        return self.data_sha256, self.val_fraction, self.test_fraction, how


class SweepResult(Line):
    """The result of one training run, stored as a line of evaluations.jsonl.

    Losses are in nats per token; they are None unless the status is "ok".
    """

    config: SweepConfig = Field(alias="point")
    seed: int
    status: Status
    reason: str | None = None  # error message on one line
    n_params: _Count
    flops: _Count
    val_loss: _Loss | None = None  # held-out loss of the final weights
    last_loss: _Loss | None = None  # training loss of the last step
    train_loss: _Loss | None = None  # mean training loss of the last 100 steps
    value: _Value | None = None  # of an objective of the user
    samples: tuple[str, ...] = ()
    seconds: _Seconds = 0.0  # training time, without evaluation
    cpu_seconds: _Seconds = 0.0

    @model_validator(mode="after")
    def _has_losses(self) -> Self:
        losses = self.val_loss, self.last_loss, self.train_loss
        if self.is_ok and self.value is None and None in losses:
            raise ConfigError("status is ok, but a loss is missing")
        return self

    @classmethod
    def of(
        cls, trial: Trial[SweepConfig], evaluation: Evaluation, *, flops: int, n_params: int
    ) -> Self:
        """Return the result of a training run."""
        names = OUTCOME if evaluation.status == "ok" else ()
        return cls(
            point=trial.config,
            seed=trial.seed,
            status=evaluation.status,
            reason=evaluation.reason or None,
            n_params=n_params,
            flops=flops,
            **{name: getattr(evaluation, name) for name in names},
        )

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation: the status and the measured values."""
        return Evaluation(self.status, **{name: getattr(self, name) for name in OUTCOME})

    @property
    def is_ok(self) -> bool:
        """Whether training finished with finite losses."""
        return self.status == "ok"

    @property
    def is_final(self) -> bool:
        """Whether the result can be reused, because it does not depend on the machine."""
        return self.status in ("ok", "diverged")

    @property
    def key(self) -> tuple[SweepConfig, int]:
        """The configuration and the seed."""
        return self.config, self.seed


class SweepRecords(RunDirectory[SweepSettings, SweepResult]):
    """The records of a sweep; see `RunDirectory`."""

    settings_type, line_type = SweepSettings, SweepResult

    @property
    def results(self) -> list[SweepResult]:
        """The recorded results, in table order."""
        found = {result.key: result for result in self.lines}
        return [found[task] for task in self.settings.tasks if task in found]

    def todo(self) -> list[Trial[SweepConfig]]:
        """Return the trials that must still be run."""
        trials = (Trial(config, seed) for config, seed in self.settings.tasks)
        return [trial for trial in trials if not self.known(trial)]

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


def read_sweep(directory: Path) -> tuple[SweepSettings, list[SweepResult]]:
    """Return the settings and the ordered results of a sweep, which may still be running.

    Raises:
        RunError: there is no sweep, or its records are damaged beyond an incomplete last line.
    """
    found = SweepRecords.read(directory)
    return found.settings, found.results
