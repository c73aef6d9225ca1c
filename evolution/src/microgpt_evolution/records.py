"""A run on disk: its settings, and a line for each evaluation, with which a run can go on.

    run.json             the settings and what the run was made with
    evaluations.jsonl    a line an evaluation, appended when it is known

A search is a pure function of its settings and of what it is told, so a run goes on by being
repeated: what has been evaluated is looked up. This module knows nothing of how a search works.
"""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from microgpt.errors import MicrogptError
from microgpt.validation import first_problem
from microgpt.whole_files import cannot_write
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.population import Evaluation, Status

RUN, EVALUATIONS = "run.json", "evaluations.jsonl"


class _Line(BaseModel):
    """A line of evaluations.jsonl."""

    model_config = ConfigDict(strict=True)

    id: str
    origin: str
    parents: tuple[str, ...]
    genome: dict[str, Any]
    seed: int
    status: Status
    fitness: float | None
    last_loss: float | None
    val_loss: float | None
    flops: int
    seconds: float


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
        self._known: dict[tuple[Genome, int], Evaluation] = {}

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
        stem = f"{name}_{datetime.now():%Y%m%d_%H%M%S}"
        try:
            for i in range(1, 1000):
                directory = folder / (stem if i == 1 else f"{stem}_{i}")
                if not directory.with_name(f"{directory.name}.log").exists():
                    try:
                        directory.mkdir(parents=True)
                    except FileExistsError:
                        continue
                    break
            facts = {
                "version": 1,
                "created_by": f"microgpt {version('microgpt-evolution')}",
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "settings": settings,
            }
            (directory / RUN).write_text(json.dumps(facts, indent=2) + "\n")
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
        has_value = evaluation.status == "ok"
        line = _Line(
            id=id_,
            origin=origin,
            parents=parents,
            genome=asdict(genome),
            seed=seed,
            status=evaluation.status,
            fitness=evaluation.fitness if has_value else None,
            last_loss=evaluation.last_loss,
            val_loss=evaluation.val_loss,
            flops=flops,
            seconds=round(seconds, 4),
        )
        try:
            with (self.directory / EVALUATIONS).open("ab") as file:
                file.write(line.model_dump_json().encode() + b"\n")
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
