"""The log of a loss evolution, the source's or ours: its candidates, and the best of them.

The lines that count are those that the source's own tools read:

    --- Generation 3/10 ---
    > #1: Emb:16  Head:1 Lay:3 Ctx:12 FF:2 LR:0.0298 Steps:1000 | Loss: 1.6470 [random]

Its first logs have no tag at the end, and those in which large models pay for their size have
" E:…" and " Fit: …" besides. A row that was torn off is none. This module opens no file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from microgpt.config import MAX_SEED
from microgpt.files.atomic_files import as_argument
from microgpt_evolution.errors import GenomeError, RunError
from microgpt_evolution.genome import WHOLE_LIMITS, Genome
from microgpt_evolution.genome_file import GenomeRecord
from microgpt_evolution.objectives.fitness import Fitness
from microgpt_evolution.population import Evaluation, Status

UNTAGGED = "unknown"
WITHOUT_LOSS: dict[str, Status] = {
    **{status: status for status in get_args(Status) if status != "ok"},
    "NaN": "diverged",
    "inf": "diverged",
}
CRASHED = 1e300  # the source gives what has crashed the largest of all numbers

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
class LogRow:
    """A row of the log.

    Attributes:
        generation: in which it stands, counted from 1.
        place: in the ranking, counted from 1.
        genome: as the log has it: lr has four decimals.
        origin: how it was made, as far as the log says.
        evaluation: what it came to.
    """

    generation: int
    place: int
    genome: Genome
    origin: str
    evaluation: Evaluation


@dataclass(frozen=True)
class LossLog:
    """What a log says.

    Attributes:
        candidates: its rows, an elite's in each of its generations.
        winner: the first of those with the lowest loss.
        left_out: for each row whose genome is outside our ranges, what is wrong with it.
    """

    candidates: tuple[LogRow, ...]
    winner: GenomeRecord
    left_out: tuple[str, ...]


def parse_log(lines: Iterable[str], path: Path) -> LossLog:
    """Return what the lines of a log say; those that are none of a log are passed over.

    Args:
        lines: with or without their ends.
        path: of the log, for errors.

    Raises:
        RunError: no candidate is in them, or none that can be called the winner.
    """
    fitness: Fitness = "last-doc"  # the source's
    seed = generation = last_loss = None
    candidates: list[LogRow] = []
    left_out: list[str] = []
    for line in map(str.rstrip, lines):
        if start := _GENERATION.fullmatch(line):
            generation = int(start[1])
        elif header := _FITNESS.fullmatch(line):
            fitness, seed = cast(Fitness, header[1]), int(header[2])
        elif last := _LAST_LOSS.fullmatch(line):
            last_loss = float(last[1])
        elif generation is not None and (row := _ROW.fullmatch(line)):
            try:
                candidates.append(_candidate(row, generation, fitness))
            except GenomeError as error:
                left_out.append(str(error))
    best = _best(candidates, left_out, path)
    record = GenomeRecord(
        genome=best.genome,
        loss=_last_loss(best, last_loss, path),
        generation=best.generation,
        fitness=fitness,
        val_loss=best.evaluation.val_loss,
        seed=None if seed is None or seed > MAX_SEED else seed,
    )
    return LossLog(tuple(candidates), record, tuple(left_out))


def _candidate(row: re.Match[str], generation: int, fitness: Fitness) -> LogRow:
    genes = {gene: int(row[gene]) for gene in WHOLE_LIMITS}
    return LogRow(
        generation,
        int(row["place"]),
        Genome(**genes, lr=float(row["lr"])),
        row["origin"] or UNTAGGED,
        _evaluation(row["loss"], fitness),
    )


def _evaluation(text: str, fitness: Fitness) -> Evaluation:
    if text in WITHOUT_LOSS:
        return Evaluation(WITHOUT_LOSS[text])
    loss = float(text)
    if loss > CRASHED:
        return Evaluation("crashed")
    if fitness == "held-out":
        return Evaluation("ok", loss, val_loss=loss)
    return Evaluation("ok", loss, last_loss=loss)


def _best(candidates: list[LogRow], left_out: list[str], path: Path) -> LogRow:
    finished = [candidate for candidate in candidates if candidate.evaluation.status == "ok"]
    if finished:
        return min(finished, key=lambda candidate: candidate.evaluation.fitness)
    if candidates:
        raise RunError(
            f"{path}: none of the {len(candidates)} candidates has a loss; give another log"
        )
    if left_out:
        raise RunError(f"{path}: no genome in it is within the ranges: {left_out[0]}")
    raise RunError(
        f"no candidate lines in {path}: there is none like '> #1: Emb:16  Head:4 … | Loss: 1.6470' "
        "after '--- Generation 1/10 ---'; give the log of a loss evolution"
    )


def _last_loss(best: LogRow, of_the_end: float | None, path: Path) -> float:
    """Return the loss of the winner's last document: its fitness, or in the end report."""
    last_loss = best.evaluation.last_loss
    loss = of_the_end if last_loss is None else last_loss
    if loss is None:
        raise RunError(
            f"{path} ends before its search had, so it has no winner; go on with: "
            f"microgpt evolve --resume {as_argument(path)}"
        )
    return loss
