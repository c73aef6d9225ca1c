"""Keep the winner of a search: log its retest, and write genome.json and a model of it."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from microgpt.files.atomic_files import remove_unfinished
from microgpt.storage.model_directory import save
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_GENOME
from microgpt_evolution.evolve_rust import loss_log_end
from microgpt_evolution.genome_file import (
    GenomeRecord,
    encode_genome,
    read_genome,
    replaces,
    write_genome,
)
from microgpt_evolution.search.evolve import EvolutionResult


def keep_winner(
    result: EvolutionResult,
    log: Callable[[str], None],
    *,
    force: bool,
    model_dir: Path | None,
) -> None:
    """Log the winner and write it down.

    Args:
        log: is called with each line of the log.
        force: replace a genome.json that is better.
        model_dir: where to save a model of the winner, if anywhere.
    """
    genome_sha256 = _write(result.record, log, force=force)
    trained = result.retest.result
    for line in loss_log_end.demo(result.names, trained.losses[-1]):
        log(line)
    for line in loss_log_end.lucky_and_honest(result.winner.found, result.retest):
        log(line)
    if model_dir:
        plan = replace(trained.plan, genome_sha256=genome_sha256)
        save(replace(trained, plan=plan), model_dir)
        note(f"a model of the winner is in {model_dir}")


def _write(record: GenomeRecord, log: Callable[[str], None], *, force: bool) -> str:
    """Write genome.json if that is an improvement; return the sha256 that it has, or would have."""
    is_there = os.path.lexists(DEFAULT_GENOME)
    if is_there and not force and not replaces(record, read_genome(DEFAULT_GENOME)):
        remove_unfinished(DEFAULT_GENOME.parent)  # it may be of a run that was killed right then
        note(f"{DEFAULT_GENOME} stays: it is as good or better; --force replaces it")
    else:
        write_genome(DEFAULT_GENOME, record)
        for line in loss_log_end.genome_written(str(DEFAULT_GENOME), record.generation):
            log(line)
    return hashlib.sha256(encode_genome(record)).hexdigest()
