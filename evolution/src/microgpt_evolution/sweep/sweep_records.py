"""The run directory of a sweep: settings and results."""

import csv
import io
from typing import Annotated, Literal

from pydantic import Field

from microgpt import publish
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.organism import Trial
from microgpt_evolution.runs.run_directory import (
    SWEEP,
    RunDirectory,
    RunSettings,
    Seed,
    TrialRecord,
)
from microgpt_evolution.runs.run_files import Genes, Stored
from microgpt_evolution.sweep.config import SETTINGS

TABLE = "evaluations.csv"
OUTCOME = (  # columns of the table, after the settings
    *("seed", "status", "reason", "n_params", "flops", "val_loss", "last_loss", "train_loss"),
    *("value", "samples", "seconds", "cpu_seconds"),
)

Kind = Literal["steps", "params", "grid"]


class ChosenSettings(Stored):
    """The settings that `train` chooses for the documents; they are the center of a grid."""

    base: Genes
    budget: Annotated[float, Field(gt=0)]  # operations for which they were chosen
    swept: tuple[str, ...]  # names of the settings with several values
    vocab_size: int | None  # requested size of the BPE vocabulary; None for characters


class SweepSettings(RunSettings):
    """The settings of a sweep, as stored in run.json."""

    kind = SWEEP

    sweep: Kind
    genomes: Annotated[tuple[Genes, ...], Field(min_length=1)]  # trained with each seed
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    has_function: bool = False  # whether the user passes an objective, from Python
    chosen: ChosenSettings | None = None  # None if the others are Karpathy's

    @property
    def tasks(self) -> list[tuple[Genome, int]]:
        """All pairs of a genome and a seed, in table order."""
        return [(genome, seed) for genome in self.genomes for seed in self.seeds]

    @property
    def documents(self) -> tuple[object, ...]:
        """A key for the data and its split; only losses with the same key are comparable."""
        vocab_size = self.chosen.vocab_size if self.chosen else None
        how = self.text, self.gap, vocab_size, self.chosen is None
        return self.data_sha256, self.val_fraction, self.test_fraction, how


class SweepRecords(RunDirectory[SweepSettings]):
    """The records of a sweep; see `RunDirectory`."""

    settings_type = SweepSettings
    repeats_failures = True  # they depend on the machine

    @property
    def results(self) -> list[TrialRecord]:
        """The recorded results, in table order."""
        keys = (Trial(*task).key for task in self.settings.tasks)
        return [self._lines[key] for key in keys if key in self._lines]

    def todo(self) -> list[Trial]:
        """Return the trials that must still be run."""
        trials = (Trial(genome, seed) for genome, seed in self.settings.tasks)
        return [trial for trial in trials if not self.known(trial)]

    def write_table(self) -> None:
        """Write the results to evaluations.csv; raise CheckpointError on failure."""
        text = io.StringIO()
        rows = [
            values_of(result.genome, SETTINGS)
            | {name: getattr(result, name) for name in OUTCOME}
            | {"samples": " ".join(result.samples)}
            for result in self.results
        ]
        table = csv.DictWriter(text, [*SETTINGS, *OUTCOME], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        publish(self.directory, {TABLE: text.getvalue().encode()})
