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
    Split,
    TrainResult,
    path_from_text,
    read_meta,
    save,
    train,
)
from microgpt_cli.terminal.console import note, print_or_discard
from microgpt_cli.training.replacement import confirm_replacement
from microgpt_evolution.commands.runs import DEFAULT_GENOME
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome import Genome
from microgpt_evolution.genome_file import (
    GENOME,
    GenomeRecord,
    encode_genome,
    read_genome,
    read_genome_of,
    replaces,
    score_of,
    write_genome,
)
from microgpt_evolution.study import Study


def ancestor_of(given: Given, remedy: str, *, is_budgeted: bool) -> Genome | None:
    """Return the genome of --warm-start, if any; see `read_genome_of`."""
    path = given.get("warm_start")
    return read_genome_of(path, remedy, is_budgeted=is_budgeted).genome if path else None


def model_directory(given: Given, kind: type[Study[Any]]) -> Path | None:
    """Return the directory of --train-winner, given now or recorded in the study to resume.

    Raises an error before the search starts if the results cannot be written. A resumed search
    replaces the model that it has saved itself.
    """
    study = kind.read(given["resume"]) if "resume" in given else None
    kept = study.settings.train_winner if study else None
    directory = given.get("train_winner") or (path_from_text(kept) if kept else None)
    is_forced = "force" in given
    if directory:
        with DirectoryLock(directory):  # it can be written
            pass
        if not (is_forced or (study and is_saved(study.directory, directory))):
            confirm_replacement(directory, "--train-winner")
    if os.path.lexists(DEFAULT_GENOME) and not is_forced:
        try:
            read_genome(DEFAULT_GENOME)  # fail early
        except GenomeError as error:
            raise GenomeError(
                f"{error} (the winner is compared with the {DEFAULT_GENOME} of this directory; "
                "rename that file, or pass --force to replace it)"
            ) from error
    return directory


def is_saved(run: Path, directory: Path | None) -> bool:
    """Return whether a run has a genome.json and, if there is a directory, its model is there."""
    with suppress(CheckpointError, OSError):
        sha256 = hashlib.sha256((run / GENOME).read_bytes()).hexdigest()
        return directory is None or read_meta(directory).training.get("genome") == sha256
    return False


def write_if_better(record: GenomeRecord, *, force: bool) -> None:
    """Write genome.json if it does not exist, if the genome is better, or if `force` is set."""
    old = read_genome(DEFAULT_GENOME) if os.path.lexists(DEFAULT_GENOME) and not force else None
    if old and old != record and not replaces(record, old):
        note(
            f"{DEFAULT_GENOME} was kept, because it is as good or better; pass --force to "
            "replace it"
        )
        return
    write_genome(DEFAULT_GENOME, record)
    print_or_discard(f"Genome of generation {record.generation} saved to {DEFAULT_GENOME}")
    how = "" if record.is_budgeted else ", measured with fresh seeds"
    note(f"{DEFAULT_GENOME} has {score_of(record)}{how}")


def train_and_save(record: GenomeRecord, parts: Split, directory: Path) -> None:
    """Train the winner of a search on its training documents, and save the model."""
    assert record.seed is not None
    docs = replace(parts, validation=(), test=())
    config = record.genome.train_config(record.seed)
    save_model(train(docs, model=record.genome.model(), config=config), record, directory)


def save_model(trained: TrainResult, record: GenomeRecord, directory: Path) -> None:
    """Save the model of a winner, with the checksum of its genome.json."""
    genome_sha256 = hashlib.sha256(encode_genome(record)).hexdigest()
    save(replace(trained, plan=replace(trained.plan, given={"genome": genome_sha256})), directory)
    note(f"the model of the winner is in {directory}")
