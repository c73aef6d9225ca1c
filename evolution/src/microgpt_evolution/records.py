"""A run on disk: its settings, and a line for each evaluation, with which a run can go on.

    run.json             the settings and what the run was made with
    evaluations.jsonl    a line an evaluation, appended when it is known
    genome.json          the winner, once there is one; others write it

A search is a pure function of its settings and of what it is told, so a run goes on by being
repeated: what has been evaluated is looked up. This module knows nothing of how a search works.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from microgpt.errors import MicrogptError
from microgpt.validation import first_problem
from microgpt.whole_files import as_argument, cannot_write
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Status

RUN, EVALUATIONS, GENOME = "run.json", "evaluations.jsonl", "genome.json"
IMPORTED_FROM = "imported_from"  # the setting that tells a run of somebody else's


class _Line(BaseModel):
    """A line of evaluations.jsonl."""

    model_config = ConfigDict(strict=True)

    id: str
    origin: str
    parents: tuple[str, ...]
    genome: dict[str, Any]
    seed: int | None  # this and the last two: unknown of what was imported
    status: Status
    fitness: float | None
    last_loss: float | None
    val_loss: float | None
    flops: int | None
    seconds: float | None


class Records:
    """The records of one run.

    Attributes:
        directory: where they are.
        log: the text that goes with them, beside.
        settings: what the run was asked for.
    """

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.directory, self.settings = directory, settings
        self.log = directory.with_name(f"{directory.name}.log")
        self._known: dict[tuple[Genome, int | None], Evaluation] = {}

    @classmethod
    def begin(cls, folder: Path, name: str, settings: dict[str, Any]) -> "Records":
        """Make the records of a new run, in a directory whose name is not taken yet.

        Args:
            folder: where runs are kept.
            name: what the directory's begins with; the time follows.
            settings: see `Records`; what JSON can hold.

        Raises:
            CheckpointError: they cannot be written.
        """
        try:
            for directory in free_directories(folder, name):
                try:
                    directory.mkdir(parents=True)
                except FileExistsError:  # another process was faster
                    continue
                break
            (directory / RUN).write_bytes(encode_run(settings))
            (directory / EVALUATIONS).touch()
        except OSError as error:
            raise cannot_write(folder, error) from error
        return cls(directory, settings)

    @classmethod
    def open(cls, path: Path) -> "Records":
        """Return the records of a run that has begun, with all that was evaluated.

        Args:
            path: the directory, or the log beside it.

        Raises:
            RunError: there is no run, or it is damaged. A last line that was torn is left out.
        """
        directory = path.with_suffix("") if path.suffix == ".log" else path
        try:
            facts = json.loads((directory / RUN).read_text())
            lines = (directory / EVALUATIONS).read_bytes().split(b"\n")
            settings = dict(facts["settings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} is no run to go on with: {error}") from error
        if IMPORTED_FROM in settings:
            raise RunError(
                f"{path} was imported from a log, so it cannot go on; for its best: "
                f"microgpt genome use {as_argument(path)}"
            )
        records = cls(directory, settings)
        for number, line in enumerate(lines[:-1], start=1):  # the last is empty, or torn
            records._learn(line, f"{directory / EVALUATIONS}, line {number}")
        os.truncate(directory / EVALUATIONS, sum(len(line) + 1 for line in lines[:-1]))
        return records

    @property
    def n_known(self) -> int:
        """How many evaluations are on record."""
        return len(self._known)

    def known(self, genome: Genome, seed: int) -> Evaluation | None:
        """Return what a training came to, if it has been done."""
        return self._known.get((genome, seed))

    def add(
        self,
        id_: str,
        origin: str,
        parents: tuple[str, ...],
        genome: Genome,
        seed: int,
        evaluation: Evaluation,
        *,
        flops: int,
        seconds: float,
    ) -> None:
        """Append an evaluation; see `Organism` for the arguments.

        Raises:
            CheckpointError: it cannot be written.
        """
        line = encode_evaluation(
            id_, origin, parents, genome, seed, evaluation, flops=flops, seconds=round(seconds, 4)
        )
        try:
            with (self.directory / EVALUATIONS).open("ab") as file:
                file.write(line)
        except OSError as error:
            raise cannot_write(self.directory, error) from error
        self._known[genome, seed] = evaluation

    def _learn(self, line: bytes, where: str) -> None:
        try:
            facts = _Line.model_validate_json(line)
            genome = Genome(**facts.genome)
        except ValidationError as error:
            raise RunError(f"{where}: {first_problem(error)}") from error
        except (MicrogptError, TypeError) as error:
            raise RunError(f"{where}: {error}") from error
        fitness: dict[str, Any] = {} if facts.fitness is None else {"fitness": facts.fitness}
        self._known[genome, facts.seed] = Evaluation(
            facts.status, last_loss=facts.last_loss, val_loss=facts.val_loss, **fitness
        )


def free_directories(folder: Path, name: str) -> Iterator[Path]:
    """Yield where a new run may be: its name, the time, and a number where that is taken.

    Args:
        folder: where runs are kept.
        name: what the directory's begins with.
    """
    stem = f"{name}_{datetime.now():%Y%m%d_%H%M%S}"
    for i in range(1, 1000):
        directory = folder / (stem if i == 1 else f"{stem}_{i}")
        if not (directory.exists() or directory.with_name(f"{directory.name}.log").exists()):
            yield directory


def encode_run(settings: dict[str, Any]) -> bytes:
    """Return the content of run.json."""
    facts = {
        "version": 1,
        "created_by": f"microgpt {version('microgpt-evolution')}",
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": settings,
    }
    return f"{json.dumps(facts, indent=2)}\n".encode()


def encode_evaluation(
    id_: str,
    origin: str,
    parents: tuple[str, ...],
    genome: Genome,
    seed: int | None,
    evaluation: Evaluation,
    *,
    flops: int | None,
    seconds: float | None,
) -> bytes:
    """Return a line of evaluations.jsonl; see `Organism` for the arguments."""
    line = _Line(
        id=id_,
        origin=origin,
        parents=parents,
        genome=asdict(genome),
        seed=seed,
        status=evaluation.status,
        fitness=evaluation.fitness if evaluation.status == "ok" else None,
        last_loss=evaluation.last_loss,
        val_loss=evaluation.val_loss,
        flops=flops,
        seconds=seconds,
    )
    return line.model_dump_json().encode() + b"\n"
