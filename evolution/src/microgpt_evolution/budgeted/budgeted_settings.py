"""The study of a budgeted search: settings, losses, and states of training runs.

.organisms/g1-3/   state of an organism that may be trained further or that is needed at the end
"""

import shutil
from pathlib import Path
from typing import Annotated

from pydantic import Field

from microgpt import (
    CheckpointError,
    TrainingPlan,
    TrainState,
    encode_state,
    publish,
    read_training,
)
from microgpt_evolution.errors import StudyError
from microgpt_evolution.genome import Gene
from microgpt_evolution.study import BUDGETED, Seed, Study, StudySettings
from microgpt_evolution.trial import Evaluation, Genes, Trial, TrialRecord

STUDENT = "student"  # origin of a trial that learns from organisms
_Operations = Annotated[float, Field(gt=0)]


class BudgetedSettings(StudySettings):
    """The settings of a budgeted search, as stored in settings.json."""

    kind = BUDGETED

    budget: _Operations  # operations of the search
    operations: _Operations  # operations of a complete training run, without evaluations
    seed: Seed
    operations_per_s: _Operations | None = None  # of one worker, measured for a time limit
    # Operations that were left before each generation; a time limit may have lowered them.
    remaining: tuple[Annotated[float, Field(ge=0)], ...] = ()
    distill: int = 0  # maximum number of organisms that teach a student at the end
    teacher_samples: int = 0  # number of documents that they make up for it
    # Genomes of the first generation.
    first: Annotated[tuple[Genes, ...], Field(min_length=1)]
    values: dict[str, Annotated[tuple[Gene, ...], Field(min_length=1)]]  # of each gene


class BudgetedStudy(Study[BudgetedSettings]):
    """The records of a budgeted search, and the states of its training runs."""

    settings_type = BudgetedSettings

    @property
    def speed(self) -> float | None:
        """Operations per second of one worker, so far or else measured before the search."""
        seconds = sum(line.seconds for line in self.lines)
        spent = sum(line.flops for line in self.lines)
        return spent / seconds if seconds else self.settings.operations_per_s

    @property
    def students(self) -> list[TrialRecord]:
        """The students; a search that has gone on with more operations may have several."""
        return [line for line in self.lines if line.origin == STUDENT]

    def known(self, trial: Trial) -> Evaluation | None:
        """Return the recorded losses of an organism in a rung, or None.

        Raises:
            StudyError: a different genome is recorded.
        """
        if any(line.id == trial.id and line.genome != trial.genome for line in self.lines):
            raise StudyError(
                f"{self.directory} has a different genome for {trial.id}, from another version of "
                "microgpt or NumPy; start a new search"
            )
        return super().known(trial)

    def add(self, trial: Trial, evaluation: Evaluation, *, flops: float, n_params: int) -> None:
        """Write the state of an organism, then its losses; raise CheckpointError on failure."""
        if evaluation.checkpoint and evaluation.losses:
            self.keep(trial.id, *evaluation.checkpoint)
        super().add(trial, evaluation, flops=flops, n_params=n_params)

    def keep(self, id: str, plan: TrainingPlan, state: TrainState) -> None:
        """Write the state of a training run; raise CheckpointError on failure."""
        publish(self._place(id), encode_state(plan, state, "running"))

    def training_run(self, id: str) -> tuple[TrainingPlan, TrainState] | None:
        """Return the plan and the state of a training run, or None if there are none."""
        try:
            plan, state, _ = read_training(self._place(id))
        except CheckpointError:
            return None
        return plan, state

    def forget(self, id: str) -> None:
        """Remove the state of an organism that will not be trained further."""
        shutil.rmtree(self._place(id), ignore_errors=True)

    def _place(self, id: str) -> Path:
        return self.directory / ".organisms" / id
