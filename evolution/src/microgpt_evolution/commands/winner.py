"""The winner of a search: its genome.json, and the directory of its model."""

import hashlib
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from microgpt import (
    CheckpointError,
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
from microgpt_evolution.commands.runs import DEFAULT_GENOME
from microgpt_evolution.errors import GenomeError, raised_as
from microgpt_evolution.genome_file import (
    GENOME,
    GenomeRecord,
    encode_genome,
    read_genome,
    replaces,
    score_of,
    write_genome,
)
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import SearchSettings, directory_of, read_settings


def model_directory(given: Given) -> Path | None:
    """Return the directory of --train-winner, given now or recorded in the study to resume.

    Raises an error before the search starts if the results cannot be written.
    """
    directory, is_own = given.get("train_winner"), "force" in given
    if "resume" in given:
        run = directory_of(given["resume"])
        settings = read_settings(run)
        kept = settings.train_winner
        directory = directory or (path_from_text(kept) if kept else None)
        is_allowed = settings.replaces and settings.replaces == _weights_of(directory)
        is_own = is_own or bool(is_allowed) or is_saved(run, directory)
    if directory:
        with DirectoryLock(directory):  # it can be written
            pass
        if not is_own:
            check_replacement(directory, "--train-winner")
    if os.path.lexists(DEFAULT_GENOME) and "force" not in given:
        with raised_as(GenomeError, remedy="; rename the file, or replace it with --force"):
            read_genome(DEFAULT_GENOME)  # fail early
    return directory


def allow_replacement(study: Study[Any], directory: Path | None) -> None:
    """Record which model in a checked directory may be replaced, also if the search is resumed.

    An interrupted training run leaves a model of before, which may not be that of the genome.
    """
    weights = _weights_of(directory)
    if weights != study.settings.replaces:
        study.change(replaces=weights)


def _weights_of(directory: Path | None) -> str | None:
    """Return the checksum of the weights of the model in a directory, if there is one."""
    with suppress(CheckpointError):
        return read_meta(directory).weights_sha256 if directory else None
    return None


def is_saved(run: Path, directory: Path | None) -> bool:
    """Return whether a run has a genome.json and, if there is a directory, its model is there."""
    with suppress(MicrogptError, OSError):
        genome = _checksum(read_genome(run / GENOME))
        return directory is None or read_meta(directory).training.get("genome") == genome
    return False


def _checksum(record: GenomeRecord) -> str:
    return hashlib.sha256(encode_genome(record)).hexdigest()


def write_if_better(record: GenomeRecord, *, force: bool) -> None:
    """Write genome.json if it does not exist, if the genome is better, or if `force` is set."""
    old = read_genome(DEFAULT_GENOME) if os.path.lexists(DEFAULT_GENOME) and not force else None
    if old and old != record and not replaces(record, old):
        how = "pass --force to replace it"
        note(f"{DEFAULT_GENOME} was kept, because it is as good or better; {how}")
        return
    write_genome(DEFAULT_GENOME, record)
    print_or_discard(f"Genome of generation {record.generation} saved to {DEFAULT_GENOME}")
    how = "" if record.is_budgeted else ", measured with fresh seeds"
    note(f"{DEFAULT_GENOME} has {score_of(record)}{how}")


def train_winner(study: Study[SearchSettings], directory: Path) -> None:
    """Train a model with the genome of a search, as `microgpt train` does."""
    names = ("seed", "column", "text", "val_fraction", "test_fraction")
    settings = {name: value for name, value in study.settings if value is not None}
    given = {name: settings[name] for name in names if name in settings}
    path, genome = path_from_text(study.settings.input), study.directory / GENOME
    train_as(TrainRequest(given, path, directory, genome=genome, force=True, num_samples=0))


def save_model(trained: TrainResult, record: GenomeRecord, directory: Path) -> None:
    """Save the model of a winner, with the checksum of its genome.json."""
    plan = replace(trained.plan, given={"genome": _checksum(record)})
    save(replace(trained, plan=plan), directory)
    note(f"the model of the winner is in {directory}")
