"""Records of a budgeted search: losses in evaluations.jsonl, and the state of each organism.

evaluations.jsonl      one line per rung of an organism
organisms/g1-3/        checkpoint of an organism that may be trained on; see `training_state`
"""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

from pydantic import Field

from microgpt.errors import CheckpointError
from microgpt.files.atomic_files import publish
from microgpt.files.path_text import path_from_text
from microgpt.state import TrainingPlan, TrainState
from microgpt.storage.meta import STATE_DESCRIPTION
from microgpt.storage.training_state import STATE, encode_state, read_state
from microgpt_evolution.budgeted.contestant import Origin
from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.budgeted.objective import EVALUATIONS, Rung
from microgpt_evolution.budgeted.settings import BudgetedSettings
from microgpt_evolution.errors import RunError
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation
from microgpt_evolution.runs.run_directory import Line, RunDirectory

ORGANISMS = "organisms"
_Loss = Annotated[float, Field(ge=0, le=1e100)]


class RungRecord(Line):
    """A line of evaluations.jsonl: the losses of an organism in one rung, and their cost."""

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

    @property
    def key(self) -> tuple[str, int]:
        """The organism and the end of the rung."""
        return self.id, self.until


class BudgetedRecords(RunDirectory[BudgetedSettings, RungRecord]):
    """The records of a budgeted search; see `RunDirectory`."""

    settings_type, line_type = BudgetedSettings, RungRecord

    def known(self, trial: Trial[Rung]) -> Evaluation | None:
        """Return the recorded losses of an organism in a rung, or None.

        Raises:
            RunError: another genome or seed is recorded.
        """
        line = self.final((trial.id, trial.config.until))
        if line is None:
            return None
        if (line.genome, line.seed) != (trial.config.genome, trial.seed):
            raise RunError(
                f"{self.directory} has another genome for {trial.id}, from another version of "
                "microgpt or NumPy; start a new search"
            )
        if not line.losses:
            return Evaluation("diverged", losses=(math.inf,))
        return Evaluation("ok", min(line.losses), losses=line.losses)

    def add(
        self, trial: Trial[Rung], evaluation: Evaluation, *, flops: float, n_params: int
    ) -> None:
        """Write the state of an organism, then its losses.

        Raises:
            CheckpointError: they cannot be written.
        """
        if evaluation.checkpoint:
            self.keep(trial.id, *evaluation.checkpoint)
        rung = RungRecord(
            id=trial.id,
            origin=cast(Origin, trial.origin),
            parents=trial.parents,
            genome=trial.config.genome,
            seed=trial.seed,
            until=trial.config.until,
            losses=tuple(loss for loss in evaluation.losses if loss < math.inf),
            operations=flops,
            seconds=round(evaluation.seconds, 4),
            cpu_seconds=round(evaluation.cpu_seconds, 4),
            reason=evaluation.reason or None,
        )
        self.append(rung)

    def keep(self, id: str, plan: TrainingPlan, state: TrainState) -> None:
        """Write the state of a training run; raise CheckpointError on failure."""
        plan = replace(plan, input=path_from_text(self.settings.input))
        content, description = encode_state(plan, state, "running")
        publish(self._place(id), {STATE: content, STATE_DESCRIPTION: description})

    def state(self, id: str) -> TrainState | None:
        """Return the state of a training run, or None if there is none."""
        try:
            return read_state(self._place(id))[1]
        except CheckpointError:
            return None

    def forget(self, id: str) -> None:
        """Remove the state of an organism that will not be trained on."""
        shutil.rmtree(self._place(id), ignore_errors=True)

    def _place(self, id: str) -> Path:
        return self.directory / ORGANISMS / id
