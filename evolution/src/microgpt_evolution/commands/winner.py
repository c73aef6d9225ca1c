"""The winner of a search: its genome.json, and the directory of its model."""

import hashlib
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from microgpt import (
    CheckpointError,
    DirectoryLock,
    Given,
    MicrogptError,
    TrainResult,
    path_from_text,
    read_meta,
    read_training,
    save,
)
from microgpt_cli.commands.train import train_as
from microgpt_cli.terminal.console import note, print_or_discard
from microgpt_cli.training.replacement import check_replacement
from microgpt_cli.training.train_request import TrainRequest
from microgpt_evolution.commands.runs import DEFAULT_GENOME
from microgpt_evolution.errors import GenomeError, raised_as
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
from microgpt_evolution.study_settings import SearchSettings, directory_of, read_settings


def ancestor_of(given: Given, remedy: str, *, is_budgeted: bool) -> Genome | None:
    """Return the genome of --warm-start, if any; see `read_genome_of`."""
    path = given.get("warm_start")
    return read_genome_of(path, remedy, is_budgeted=is_budgeted).genome if path else None


def model_directory(given: Given) -> Path | None:
    """Return the directory of --train-winner, given now or recorded in the study to resume.

    Raises an error before the search starts if the results cannot be written. A resumed search
    replaces the model that it has saved itself.
    """
    run = directory_of(given["resume"]) if "resume" in given else None
    kept = read_settings(run).train_winner if run else None
    directory = given.get("train_winner") or (path_from_text(kept) if kept else None)
    is_forced = "force" in given
    if run and (run / GENOME).exists() and not is_forced:
        with raised_as(GenomeError, remedy="; remove the file and resume the search"):
            read_genome(run / GENOME)
    if directory:
        with DirectoryLock(directory):  # it can be written
            pass
        is_own = run and (is_saved(run, directory) or _is_begun(run, directory))
        if not (is_forced or is_own):
            check_replacement(directory, "--train-winner")
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
    with suppress(MicrogptError, OSError):
        read_genome(run / GENOME)
        sha256 = _sha256((run / GENOME).read_bytes())
        return directory is None or read_meta(directory).training.get("genome") == sha256
    return False


def _is_begun(run: Path, directory: Path) -> bool:
    """Return whether a directory has the training run of the model of a run."""
    with suppress(CheckpointError, OSError):
        sha256 = _sha256((run / GENOME).read_bytes())
        return read_training(directory)[0].given.get("genome") == sha256
    return False


def _sha256(genome: bytes) -> str:
    return hashlib.sha256(genome).hexdigest()


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


def train_winner(study: Study[SearchSettings], directory: Path) -> None:
    """Train a model with the genome of a search, as `microgpt train` does, or go on with it."""
    settings = study.settings
    if _is_begun(study.directory, directory):
        train_as(TrainRequest({}, resume=directory, num_samples=0))
        return
    names = ("seed", "column", "text", "val_fraction", "test_fraction")
    given = {name: value for name, value in settings if name in names and value is not None}
    train_as(
        TrainRequest(
            given,
            input=path_from_text(settings.input),
            output=directory,
            genome=study.directory / GENOME,
            force=True,
            num_samples=0,
        )
    )


def save_model(trained: TrainResult, record: GenomeRecord, directory: Path) -> None:
    """Save the model of a winner, with the checksum of its genome.json."""
    given = {"genome": _sha256(encode_genome(record))}
    save(replace(trained, plan=replace(trained.plan, given=given)), directory)
    note(f"the model of the winner is in {directory}")
