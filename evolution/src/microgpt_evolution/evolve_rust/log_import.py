"""Import the log of a loss search (evolve-rust or microgpt) as a run directory.

The parser reads the same lines as evolve-rust's own tools:

    --- Generation 3/10 ---
    > #1: Emb:16  Head:1 Lay:3 Ctx:12 FF:2 LR:0.0298 Steps:1000 | Loss: 1.6470 [random]

Rows of the earliest evolve-rust logs do not end with a tag such as [random]. Rows of logs with a
penalty for large models also contain " E:…" and " Fit: …". Truncated rows are skipped.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast, get_args

from microgpt.config import MAX_SEED
from microgpt.files.atomic_files import as_argument
from microgpt.files.path_text import path_to_text
from microgpt_evolution.errors import GenomeError, RunError
from microgpt_evolution.genome import WHOLE_LIMITS, Genome
from microgpt_evolution.genome_file import GENOME, GenomeRecord, encode_genome
from microgpt_evolution.objectives.fitness import Fitness
from microgpt_evolution.organism import Evaluation, Organism, Provenance, Status, rank
from microgpt_evolution.runs.run_files import (
    EVALUATIONS,
    RUN,
    encode_run,
    new_directory,
    with_checksum,
)
from microgpt_evolution.search.records import EvaluationRecord, ImportedSettings

UNTAGGED = "unknown"
WITHOUT_LOSS: dict[str, Status] = {
    **{status: status for status in get_args(Status) if status != "ok"},
    "NaN": "diverged",
    "inf": "diverged",
}
CRASHED = 1e300  # losses above this limit mean a crash, which evolve-rust logs as f64::MAX

_N = "[0-9]{1,9}"
_GENERATION = re.compile(f"--- Generation ({_N})/{_N} ---")
_FITNESS = re.compile(f"Fitness: ({'|'.join(get_args(Fitness))}), Seed: ([0-9]{{1,19}})")
_LAST_LOSS = re.compile(r"  Last document +([0-9]+\.[0-9]{4})  .*")
_ROW = re.compile(
    rf" {{0,9}}>? {{0,9}}#(?P<place>{_N}): Emb:(?P<n_emb>{_N}) +Head:(?P<n_head>{_N}) "
    rf"+Lay:(?P<n_layer>{_N}) +Ctx:(?P<n_ctx>{_N}) +FF:(?P<n_ff_exp>{_N}) "
    rf"+LR:(?P<lr>[0-9]\.[0-9]{{4}}) +Steps:(?P<steps>{_N}) *(?: E:[0-9]+ *)?\| "
    rf"Loss: (?P<loss>[0-9]+\.[0-9]{{4}}|{'|'.join(WITHOUT_LOSS)})"
    r"(?: Fit: [^ ]+)?(?: \[(?P<origin>[^\]]*)\])?"
)


@dataclass(frozen=True)
class ParsedLog:
    """The parsed content of a log."""

    candidates: tuple[Organism, ...]  # in log order; `slot` is the rank in the generation
    winner: GenomeRecord  # the first candidate with the lowest loss
    left_out: tuple[str, ...]  # error messages for skipped rows, whose genomes are out of range


def parse_log(lines: Iterable[str], path: Path) -> ParsedLog:
    """Parse a log; raise RunError if the log has no candidates or no winner."""
    fitness: Fitness = "last-doc"  # evolve-rust's logs do not name the fitness
    seed = generation = last_loss = None
    candidates: list[Organism] = []
    left_out: list[str] = []
    for line in map(str.rstrip, lines):
        if start := _GENERATION.fullmatch(line):
            generation = int(start[1])
        elif header := _FITNESS.fullmatch(line):
            fitness, seed = cast(Fitness, header[1]), int(header[2])
        elif last := _LAST_LOSS.fullmatch(line):
            last_loss = float(last[1])
        elif generation is not None and (row := _ROW.fullmatch(line)):
            genes = {gene: int(row[gene]) for gene in WHOLE_LIMITS}
            try:
                genome = Genome(**genes, lr=float(row["lr"]))
            except GenomeError as error:
                left_out.append(str(error))
                continue
            origin = cast(Provenance, row["origin"] or UNTAGGED)
            evaluation = _evaluation(row["loss"], fitness)
            place = int(row["place"])
            candidates.append(Organism(genome, origin, 0, generation, place, evaluation=evaluation))
    best = _best(candidates, left_out, path)
    assert best.evaluation
    if best.evaluation.last_loss is not None:
        last_loss = best.evaluation.last_loss
    if last_loss is None:  # held-out searches log last_loss only in the final report
        raise RunError(
            f"{path} is incomplete and has no winner; resume the search with: "
            f"microgpt evolve --resume {as_argument(path)}"
        )
    record = GenomeRecord(
        **asdict(best.genome),
        loss=last_loss,
        generation=best.generation,
        fitness=fitness,
        val_loss=best.evaluation.val_loss,
        seed=None if seed is None or seed > MAX_SEED else seed,
    )
    return ParsedLog(tuple(candidates), record, tuple(left_out))


def write_imported(folder: Path, log: ParsedLog, source: Path) -> Path:
    """Save a log as a run and return the run directory. Imported runs cannot be resumed."""
    settings = ImportedSettings(
        fitness=log.winner.fitness,
        seed=log.winner.seed,
        imported_from=path_to_text(source.absolute()),
    )
    unknown = dict.fromkeys(("seed", "flops", "seconds", "cpu_seconds"))
    records = [
        EvaluationRecord.of(o.trial, o.evaluation, flops=0, n_params=0).model_copy(update=unknown)
        for o in log.candidates
        if o.evaluation
    ]
    files = {
        EVALUATIONS: b"".join(with_checksum(record.encode()) for record in records),
        GENOME: encode_genome(log.winner),
        RUN: encode_run(settings.model_dump(mode="json")),
    }
    return new_directory(folder, "import", files)


def _evaluation(text: str, fitness: Fitness) -> Evaluation:
    if text in WITHOUT_LOSS:
        return Evaluation(WITHOUT_LOSS[text])
    loss = float(text)
    if loss > CRASHED:
        return Evaluation("crashed")
    if fitness == "held-out":
        return Evaluation("ok", loss, val_loss=loss)
    return Evaluation("ok", loss, last_loss=loss)


def _best(candidates: list[Organism], left_out: list[str], path: Path) -> Organism:
    if candidates and (best := rank(candidates)[0]).has_finished:
        return best
    if candidates:
        raise RunError(
            f"{path}: none of the {len(candidates)} candidates has a loss; use another log"
        )
    if left_out:
        raise RunError(f"{path}: every genome is out of range: {left_out[0]}")
    raise RunError(
        f"{path} has no line like '> #1: Emb:16  Head:4 … | Loss: 1.6470' after "
        "'--- Generation 1/10 ---'; use the log of a loss search"
    )
