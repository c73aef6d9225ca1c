"""Records of a budgeted search: settings, losses, and the state of each organism.

run.json               the settings, used again when the run is resumed
evaluations.jsonl      one line per rung of an organism
organisms/g1-3/        checkpoint of an organism that may be trained further
"""

import shutil
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Annotated, Self

from pydantic import Field, model_validator

from microgpt import (
    CheckpointError,
    TrainingPlan,
    TrainState,
    encode_state,
    path_from_text,
    publish,
    read_training,
)
from microgpt_evolution.budgeted.genome import EVALUATIONS
from microgpt_evolution.errors import RunError
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.runs.run_directory import BUDGETED, RunDirectory, RunSettings, Seed
from microgpt_evolution.runs.run_files import Genes, Stored
from microgpt_evolution.space import Rates, Space, Values

ORGANISMS = "organisms"
_Operations = Annotated[float, Field(gt=0)]


class TimeCut(Stored):
    """Limits on this and later generations, because the search would otherwise have ended late."""

    generation: int  # counted from 1
    budget: _Operations | None = None  # for this generation and all later ones
    longest: Annotated[float, Field(ge=0)] | None = None  # for the completion of each organism
    # Evaluations up to which the organisms of this generation were trained; the others were not.
    rungs: dict[str, Annotated[int, Field(ge=1, le=EVALUATIONS)]] | None = None


class BudgetedSettings(RunSettings):
    """The settings of a budgeted search, as stored in run.json."""

    kind = BUDGETED

    budget: _Operations  # operations of the search
    operations: _Operations  # operations of a complete training run, without evaluations
    seed: Seed
    minutes: Annotated[float, Field(gt=0)] | None = None  # the budget was computed from this time
    operations_per_s: _Operations | None = None  # of one worker, measured for it
    cuts: tuple[TimeCut, ...] = ()  # by the time limit; empty if the search was as fast as measured
    student_steps: int | None = None  # of a student that a time limit may have shortened
    student_until: int | None = None  # step after which the time limit ended its training
    target: float | None = None  # loss at which the search ends
    distill: int = 0  # maximum number of organisms that teach a student at the end
    teacher_samples: int = 0  # number of documents that they make up for it
    # Genomes of the first generation.
    first: Annotated[tuple[Genes, ...], Field(min_length=1)]
    values: Values  # of each gene
    rates: Rates  # relative mutation rates; 1 for other genes

    @property
    def space(self) -> Space:
        """The search space: the values of each gene, and the mutation rates."""
        return Space(values=self.values, rates=self.rates)

    @model_validator(mode="after")
    def _check_space(self) -> Self:
        """Raise GenomeError if the first genome has no mutants, before a run is created."""
        self.space.mutate(self.first[0], Random(0))
        return self


class BudgetedRecords(RunDirectory[BudgetedSettings]):
    """The records of a budgeted search; see `RunDirectory`."""

    settings_type = BudgetedSettings

    def known(self, trial: Trial) -> Evaluation | None:
        """Return the recorded losses of an organism in a rung, or None.

        Raises:
            RunError: a different genome is recorded.
        """
        if any(line.id == trial.id and line.genome != trial.genome for line in self.lines):
            raise RunError(
                f"{self.directory} has a different genome for {trial.id}, from another version of "
                "microgpt or NumPy; start a new search"
            )
        return super().known(trial)

    def add(self, trial: Trial, evaluation: Evaluation, *, flops: float, n_params: int) -> None:
        """Write the state of an organism, then its losses; raise CheckpointError on failure."""
        if evaluation.status == "ok" and not evaluation.losses:
            return  # there was no time for it
        if evaluation.checkpoint:
            self.keep(trial.id, *evaluation.checkpoint)
        super().add(trial, evaluation, flops=flops, n_params=n_params)

    def keep(self, id: str, plan: TrainingPlan, state: TrainState) -> None:
        """Write the state of a training run; raise CheckpointError on failure."""
        plan = replace(plan, input=path_from_text(self.settings.input))
        publish(self._place(id), encode_state(plan, state, "running"))

    def keep_cut(self, cut: TimeCut) -> None:
        """Record a cut; it replaces an earlier cut of the same generation."""
        others = (each for each in self.settings.cuts if each.generation != cut.generation)
        self.change(self.settings.model_copy(update={"cuts": (*others, cut)}))

    def cut(self, generation: int) -> TimeCut | None:
        """Return the recorded cut of a generation, if any."""
        return next((each for each in self.settings.cuts if each.generation == generation), None)

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
        return self.directory / ORGANISMS / id
