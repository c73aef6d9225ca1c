"""The winner of a search: its genome.json, and the directory of its model."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from microgpt import (
    DirectoryLock,
    Given,
    MicrogptError,
    TrainResult,
    path_from_text,
    read_meta,
    save,
)
from microgpt_cli.commands.train import train_as
from microgpt_cli.terminal.console import note, print_or_discard
from microgpt_cli.training.replacement import check_replacement
from microgpt_cli.training.train_request import TrainRequest
from microgpt_evolution.commands.options import DEFAULT_GENOME
from microgpt_evolution.errors import GenomeError, raised_as
from microgpt_evolution.genome_file import (
    GENOME,
    GenomeRecord,
    encode_genome,
    read_genome,
    score_of,
    write_genome,
)
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import SearchSettings, read_settings


@dataclass(frozen=True)
class Winner:
    """Where a search saves its winner: genome.json and, if there is a directory, a model."""

    directory: Path | None  # the user passes it with --train-winner

    @classmethod
    def of(cls, given: Given) -> Self:
        """Return the place for the winner of a new search, or of the one to resume.

        Raises an error before the search starts if the results cannot be written.
        """
        directory, may_replace = given.get("train_winner"), "force" in given
        if "resume" in given:
            run = given["resume"]
            kept = read_settings(run).train_winner
            directory = directory or (path_from_text(kept) if kept else None)
            may_replace |= cls(directory).is_saved(run)
        if directory:
            with DirectoryLock(directory):  # fails if the directory cannot be written
                pass
            if not may_replace:
                check_replacement(directory, "--train-winner")
        if os.path.lexists(DEFAULT_GENOME) and "force" not in given:
            with raised_as(GenomeError, remedy="; rename the file, or replace it with --force"):
                read_genome(DEFAULT_GENOME)  # the search would replace another file
        return cls(directory)

    def is_saved(self, run: Path) -> bool:
        """Return whether a run has a genome.json and, if there is a directory, its model."""
        with suppress(MicrogptError, OSError):
            genome = _checksum(read_genome(run / GENOME))
            directory = self.directory
            return directory is None or read_meta(directory).training.get("genome") == genome
        return False

    def write(self, record: GenomeRecord) -> None:
        """Write genome.json to the current directory."""
        write_genome(DEFAULT_GENOME, record)
        print_or_discard(f"Genome of generation {record.generation} saved to {DEFAULT_GENOME}")
        how = "" if record.is_budgeted else ", measured with fresh seeds"
        note(f"{DEFAULT_GENOME} has {score_of(record)}{how}")

    def train(self, study: Study[SearchSettings]) -> None:
        """Train a model with the genome of a search, as `microgpt train` does."""
        if self.directory and not self.is_saved(study.directory):
            names = ("seed", "column", "text", "val_fraction", "test_fraction")
            given = {k: value for k, value in study.settings if k in names and value is not None}
            path, genome = path_from_text(study.settings.input), study.directory / GENOME
            train_as(
                TrainRequest(given, path, self.directory, genome=genome, force=True, num_samples=0)
            )

    def save(self, trained: TrainResult, record: GenomeRecord) -> None:
        """Save a model that a search has trained, with the checksum of its genome.json."""
        if self.directory:
            plan = replace(trained.plan, given={"genome": _checksum(record)})
            save(replace(trained, plan=plan), self.directory)
            note(f"the model of the winner is in {self.directory}")


def _checksum(record: GenomeRecord) -> str:
    return hashlib.sha256(encode_genome(record)).hexdigest()
