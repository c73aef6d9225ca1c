"""Records of a budgeted search: losses in evaluations.jsonl, and the state of each organism.

evaluations.jsonl      one line per rung of an organism
organisms/g1-3/        checkpoint of an organism that may be trained on; see `training_state`
"""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from microgpt.error_format import first_problem
from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import as_argument, publish
from microgpt.files.directory_lock import DirectoryLock
from microgpt.files.path_text import path_from_text
from microgpt.state import TrainingPlan, TrainState
from microgpt.storage.meta import STATE_DESCRIPTION
from microgpt.storage.training_state import STATE, encode_state, read_state
from microgpt_evolution.budgeted.contestant import Contestant, Origin
from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.budgeted.objective import EVALUATIONS, RungResult
from microgpt_evolution.budgeted.settings import BUDGET, BudgetedSettings
from microgpt_evolution.errors import GenomeError, RunError
from microgpt_evolution.runs.evaluation_record import REMEDY
from microgpt_evolution.runs.run_directory import RunDirectory, read_settings, whole_lines

ORGANISMS = "organisms"
_Loss = Annotated[float, Field(ge=0, le=1e100)]


class RungRecord(BaseModel):
    """A line of evaluations.jsonl: the losses of an organism in one rung, and their cost."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    id: str
    origin: Origin
    parents: tuple[str, ...]
    genome: BudgetedGenome
    seed: int
    until: Annotated[int, Field(ge=1, le=EVALUATIONS)]  # evaluation at which the rung ends
    losses: tuple[_Loss, ...]  # in nats per character; empty if training diverged or crashed
    operations: float
    seconds: float
    cpu_seconds: float
    reason: str | None = None  # why there are no losses

    @classmethod
    def parse(cls, line: bytes, where: str) -> "RungRecord":
        """Parse a line; raise RunError with the location on failure."""
        try:
            return cls.model_validate_json(line)
        except ValidationError as error:
            raise RunError(f"{where}: {first_problem(error)}; {REMEDY}") from error
        except GenomeError as error:
            raise RunError(f"{where}: {error}; {REMEDY}") from error


class BudgetedRecords(RunDirectory):
    """The records of a budgeted search; see `RunDirectory`."""

    def __init__(self, directory: Path, settings: dict[str, Any], lock: DirectoryLock) -> None:
        super().__init__(directory, settings, lock)
        self.search = BudgetedSettings.parse(settings, directory)
        self._rungs: dict[tuple[str, int], RungRecord] = {}

    @property
    def n_known(self) -> int:
        """The number of recorded rungs."""
        return len(self._rungs)

    def known(self, organism: Contestant, until: int) -> tuple[float, ...] | None:
        """Return the recorded losses of an organism in a rung, or None.

        Raises:
            RunError: another genome or seed is recorded.
        """
        rung = self._rungs.get((organism.id, until))
        if rung is None:
            return None
        if (rung.genome, rung.seed) != (organism.genome, organism.seed):
            raise RunError(
                f"{self.directory} has another genome for {organism.id}, from another version of "
                "microgpt or NumPy; start a new search"
            )
        return rung.losses or (math.inf,)

    def add(
        self,
        organism: Contestant,
        until: int,
        result: RungResult,
        *,
        operations: float,
        seconds: float,
        cpu_seconds: float,
        reason: str | None = None,
    ) -> None:
        """Write the state of an organism, then its losses.

        Raises:
            CheckpointError: they cannot be written.
        """
        if result.plan and result.state:
            self.keep(organism.id, result.plan, result.state)
        rung = RungRecord(
            id=organism.id,
            origin=organism.origin,
            parents=organism.parents,
            genome=organism.genome,
            seed=organism.seed,
            until=until,
            losses=tuple(loss for loss in result.losses if loss < math.inf),
            operations=operations,
            seconds=round(seconds, 4),
            cpu_seconds=round(cpu_seconds, 4),
            reason=reason,
        )
        self._append(rung.model_dump_json().encode() + b"\n")
        self._rungs[organism.id, until] = rung

    def keep(self, id: str, plan: TrainingPlan, state: TrainState) -> None:
        """Write the state of a training run; raise CheckpointError on failure."""
        plan = replace(plan, input=path_from_text(self.search.input))
        content, description = encode_state(plan, state, "running")
        publish(self._place(id), {STATE: content, STATE_DESCRIPTION: description})

    def state(self, id: str) -> TrainState | None:
        """Return the state of a training run, or None if there is none."""
        try:
            return read_state(self._place(id))[1]
        except CheckpointError:
            return None

    def forget(self, organism: Contestant) -> None:
        """Remove the state of an organism that will not be trained on."""
        shutil.rmtree(self._place(organism.id), ignore_errors=True)

    def _place(self, id: str) -> Path:
        return self.directory / ORGANISMS / id

    @classmethod
    def _check(cls, settings: dict[str, Any], path: Path) -> None:
        if BUDGET not in settings:
            raise RunError(
                f"{path} is not a search with a budget; resume it with: "
                f"microgpt evolve --resume {as_argument(path)}"
            )

    def _take(self, line: bytes, where: str) -> None:
        rung = RungRecord.parse(line, where)
        self._rungs[rung.id, rung.until] = rung


def read_rungs(directory: Path) -> tuple[BudgetedSettings, list[RungRecord]]:
    """Return the settings and rungs of a search, which may still be running.

    Raises:
        RunError: there is no such search, or its records are damaged beyond the last line.
    """
    settings = BudgetedSettings.parse(read_settings(directory), directory)
    return settings, [RungRecord.parse(line, where) for where, line in whole_lines(directory)]
