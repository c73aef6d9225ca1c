"""What is done with the winner of a search: it is trained again, measured, shown and kept."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from microgpt.data.dataset import Split
from microgpt.files.atomic_files import remove_unfinished
from microgpt.inference import InferenceGpt
from microgpt.storage.model_directory import save
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_GENOME
from microgpt_evolution.evolve_rust import end_report
from microgpt_evolution.genome_file import (
    GenomeRecord,
    encode_genome,
    read_genome,
    replaces,
    write_genome,
)
from microgpt_evolution.objectives.aesthetic import N_SAMPLES
from microgpt_evolution.objectives.retest import Retest, examine
from microgpt_evolution.runs.retest_file import write_exam
from microgpt_evolution.search.settings import SearchSettings
from microgpt_evolution.search.winner import Winner

N_SHOWN = 10


def conclude(
    winner: Winner,
    parts: Split,
    settings: SearchSettings,
    run: Path,
    log: Callable[[str], None],
    *,
    force: bool,
    model_dir: Path | None,
) -> None:
    """Train the winner again, measure it on documents that nothing has seen, and write it down.

    Args:
        winner: the best of the search.
        parts: the documents.
        settings: of the run.
        run: its directory.
        log: is called with each line of the log.
        force: replace a genome.json that is better.
        model_dir: where a model of the winner is to be, if anywhere.
    """
    seeds = winner.fresh_seeds(settings.seed)
    n_samples = N_SAMPLES if winner.measure else 0  # whatever the jury of the search
    exam = examine(winner.organism.genome, parts, seeds, n_samples=n_samples)
    record = _record(winner, exam, settings)
    write_genome(run / DEFAULT_GENOME, record)  # whatever else stays in its place
    genome_sha256 = _write(record, log, force=force)
    names = InferenceGpt(exam.result).generate(N_SHOWN, temperature=1.0, seed=settings.seed)
    write_exam(run, winner, exam, names)
    for line in end_report.demo(names, exam.result.losses[-1]):
        log(line)
    for line in end_report.lucky_and_honest(winner.found, exam):
        log(line)
    if model_dir:
        plan = replace(exam.result.plan, genome_sha256=genome_sha256)
        save(replace(exam.result, plan=plan), model_dir)
        note(f"a model of the winner is in {model_dir}")


def _record(winner: Winner, exam: Retest, settings: SearchSettings) -> GenomeRecord:
    """Return what is written down: its worth with fresh seeds, not what it was chosen for."""
    score = None
    if winner.measure:
        score = fmean(vote.scores[winner.measure] for vote in exam.votes)
    return GenomeRecord(
        genome=winner.organism.genome,
        loss=winner.found.last_loss or 0.0,
        generation=winner.organism.generation,
        objective=settings.objective,
        head=winner.head,
        fitness=settings.fitness,
        val_loss=fmean(exam.val_losses),
        score=score,
        seed=settings.seed,
        data_sha256=settings.data_sha256,
    )


def _write(record: GenomeRecord, log: Callable[[str], None], *, force: bool) -> str:
    """Write genome.json if that is an improvement; return the sha256 that it has, or would have."""
    is_there = os.path.lexists(DEFAULT_GENOME)
    if is_there and not force and not replaces(record, read_genome(DEFAULT_GENOME)):
        remove_unfinished(DEFAULT_GENOME.parent)  # it may be of a run that was killed right then
        note(f"{DEFAULT_GENOME} stays: it is as good or better; --force replaces it")
    else:
        write_genome(DEFAULT_GENOME, record)
        for line in end_report.genome_written(str(DEFAULT_GENOME), record.generation):
            log(line)
    return hashlib.sha256(encode_genome(record)).hexdigest()
