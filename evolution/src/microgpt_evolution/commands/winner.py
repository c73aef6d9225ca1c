"""The winner of a search: its genome.json, and the directory of its model."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from microgpt import (
    CheckpointError,
    Given,
    TrainResult,
    as_argument,
    check_place,
    path_from_text,
    read_meta,
    save,
)
from microgpt_cli.terminal.console import note
from microgpt_cli.training.replacement import confirm_replacement
from microgpt_evolution.budgeted.budgeted_records import BudgetedRecords
from microgpt_evolution.commands.runs import DEFAULT_GENOME
from microgpt_evolution.commands.study import as_setting
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.genome_file import (
    GENOME,
    GenomeRecord,
    encode_genome,
    read_genome,
    replaces,
    score_of,
    write_genome,
)
from microgpt_evolution.search.search_records import Records


def model_directory(given: Given, run: Records | BudgetedRecords | None) -> Path | None:
    """Return the directory of --train-winner, given now or recorded in the run to resume.

    Raises an error before the search starts if the results cannot be written. A resumed run
    replaces the model that it has saved itself.
    """
    kept = run.settings.train_winner if run else None
    directory = given.get("train_winner") or (path_from_text(kept) if kept else None)
    is_forced = "force" in given
    if directory:
        check_place(directory)
        if not (is_forced or (run and _is_model_of(directory, run.directory / GENOME))):
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


def _is_model_of(directory: Path, genome: Path) -> bool:
    """Return whether a directory has a model with exactly this genome.json."""
    with suppress(CheckpointError, OSError):
        sha256 = hashlib.sha256(genome.read_bytes()).hexdigest()
        return bool(read_meta(directory).training.get("genome") == sha256)
    return False


def resume_command(given: Given, run: Records | BudgetedRecords) -> str:
    """Return the command that resumes a run, without the directory of the run."""
    model_dir = given.get("train_winner")
    if model_dir is None or as_setting(model_dir) == run.settings.train_winner:
        return "microgpt evolve --resume"
    return f"microgpt evolve --train-winner {as_argument(model_dir)} --resume"


def write_if_better(
    record: GenomeRecord, log: Callable[[str], None], mark: str, *, force: bool
) -> None:
    """Write genome.json if it does not exist, if the genome is better, or if `force` is set."""
    is_there = os.path.lexists(DEFAULT_GENOME)
    if is_there and not force and not replaces(record, read_genome(DEFAULT_GENOME)):
        note(
            f"{DEFAULT_GENOME} was kept, because it is as good or better; pass --force to "
            "replace it"
        )
        return
    write_genome(DEFAULT_GENOME, record)
    log(f"Genome of generation {record.generation} saved to {DEFAULT_GENOME}")
    how = "" if record.score is not None else mark
    how += "" if record.is_budgeted else ", measured with fresh seeds"
    note(f"{DEFAULT_GENOME} has {score_of(record)}{how}")


def save_model(trained: TrainResult, record: GenomeRecord, directory: Path) -> None:
    """Save the model of a winner, with the checksum of its genome.json."""
    genome_sha256 = hashlib.sha256(encode_genome(record)).hexdigest()
    save(replace(trained, plan=replace(trained.plan, given={"genome": genome_sha256})), directory)
    note(f"the model of the winner is in {directory}")
