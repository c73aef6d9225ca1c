"""A run that comes from a log: the same files as those of one of ours, as far as the log knows.

Nobody knows what its trainings were seeded with or took, so it cannot go on.
"""

from pathlib import Path

from microgpt.files.path_text import path_to_text
from microgpt_evolution.evolve_rust.log_file import LossLog
from microgpt_evolution.genome_file import encode_genome
from microgpt_evolution.runs.evaluation_record import encode_imported
from microgpt_evolution.runs.records import GENOME, IMPORTED_FROM
from microgpt_evolution.runs.run_directory import EVALUATIONS, RUN, encode_run, new_directory


def write_imported(folder: Path, log: LossLog, source: Path) -> Path:
    """Write the run of a log, whole or not at all, and return its directory.

    Args:
        folder: where runs are kept.
        log: what the log says.
        source: where it is.

    Raises:
        CheckpointError: it cannot be written.
    """
    settings = {
        "objective": log.winner.objective,
        "fitness": log.winner.fitness,
        "seed": log.winner.seed,
        IMPORTED_FROM: path_to_text(source.absolute()),
    }
    lines = [
        encode_imported(
            f"g{candidate.generation}-{candidate.place}",
            candidate.origin,
            candidate.genome,
            candidate.evaluation,
        )
        for candidate in log.candidates
    ]
    files = {
        EVALUATIONS: b"".join(lines),
        GENOME: encode_genome(log.winner),
        RUN: encode_run(settings),
    }
    return new_directory(folder, "import", files)
