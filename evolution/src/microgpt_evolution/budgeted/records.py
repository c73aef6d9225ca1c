"""Records of a budgeted search: settings, losses, and the state of each organism.

run.json               the settings, used again when the run is resumed
evaluations.jsonl      one line per rung of an organism
organisms/g1-3/        checkpoint of an organism that may be trained further
"""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Annotated, Self, cast

from pydantic import Field, model_validator

from microgpt import (
    STATE,
    STATE_DESCRIPTION,
    CheckpointError,
    TextKind,
    TrainingPlan,
    TrainState,
    encode_state,
    path_from_text,
    publish,
    read_training,
)
from microgpt_evolution.budgeted.genome import EVALUATIONS, BudgetedGenome, Origin
from microgpt_evolution.budgeted.objective import Rung
from microgpt_evolution.errors import RunError
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.runs.run_directory import (
    BUDGETED,
    InputPath,
    Line,
    RunDirectory,
    RunSettings,
    Seed,
)
from microgpt_evolution.runs.run_files import Stored
from microgpt_evolution.space import Rates, Space, Values

ORGANISMS = "organisms"
_Operations = Annotated[float, Field(gt=0)]
_Loss = Annotated[float, Field(ge=0, le=1e100)]


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
    genomes = "first"

    budget: _Operations  # operations of the search
    operations: _Operations  # operations of a complete training run, without evaluations
    input: InputPath
    column: str | None = None  # column or field with the documents
    chat: bool = False  # whether the documents are conversations
    me: str | None = None  # who the assistant is in an exported chat
    separator: str | None = None  # between documents of several lines
    text: TextKind
    data_sha256: str  # SHA-256 of all documents
    held_out: float  # fraction of the documents in each of the validation and test sets
    gap: int = 0  # number of unused characters around held-out stretches of running text
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
    first: Annotated[tuple[BudgetedGenome, ...], Field(min_length=1)]
    values: Values  # of each gene
    rates: Rates  # relative mutation rates; 1 for other genes
    train_winner: str | None = None  # path of the directory for the model of the winner

    @property
    def space(self) -> Space:
        """The search space: the values of each gene, and the mutation rates."""
        return Space(values=self.values, rates=self.rates)

    @model_validator(mode="after")
    def _check_space(self) -> Self:
        """Raise GenomeError if the first genome has no mutants, before a run is created."""
        self.space.mutate(self.first[0], Random(0))
        return self


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

    @classmethod
    def of(cls, trial: Trial[Rung], evaluation: Evaluation, *, flops: float, n_params: int) -> Self:
        """Return the record of a rung; `flops` is the cost of the whole rung."""
        rung, n = trial.config, len(evaluation.losses)
        n_planned = rung.until - rung.n_known
        return cls(
            id=trial.id,
            origin=cast(Origin, trial.origin),
            parents=trial.parents,
            genome=trial.config.genome,
            seed=trial.seed,
            until=rung.n_known + n if evaluation.status == "ok" else rung.until,
            losses=tuple(loss for loss in evaluation.losses if loss < math.inf),
            operations=flops * (n / n_planned if evaluation.status == "ok" else 1),
            seconds=round(evaluation.seconds, 4),
            cpu_seconds=round(evaluation.cpu_seconds, 4),
            reason=evaluation.reason or None,
        )

    @staticmethod
    def key_of(trial: Trial[Rung]) -> tuple[str, int]:
        """Return the key of a trial: the organism and the end of the rung."""
        return trial.id, trial.config.until

    @property
    def key(self) -> tuple[str, int]:
        """The organism and the end of the rung."""
        return self.id, self.until

    @property
    def evaluation(self) -> Evaluation:
        """The losses of the rung; infinity if training diverged or crashed."""
        if not self.losses:
            return Evaluation("diverged", losses=(math.inf,))
        return Evaluation("ok", min(self.losses), losses=self.losses)


class BudgetedRecords(RunDirectory[BudgetedSettings, RungRecord]):
    """The records of a budgeted search; see `RunDirectory`."""

    settings_type, line_type = BudgetedSettings, RungRecord

    def known(self, trial: Trial[Rung]) -> Evaluation | None:
        """Return the recorded losses of an organism in a rung, or None.

        Raises:
            RunError: a different genome or seed is recorded.
        """
        line = self.final(RungRecord.key_of(trial))
        if line and (line.genome, line.seed) != (trial.config.genome, trial.seed):
            raise RunError(
                f"{self.directory} has a different genome for {trial.id}, from another version of "
                "microgpt or NumPy; start a new search"
            )
        return super().known(trial)

    def add(
        self, trial: Trial[Rung], evaluation: Evaluation, *, flops: float, n_params: int
    ) -> None:
        """Write the state of an organism, then its losses; raise CheckpointError on failure."""
        if evaluation.status == "ok" and not evaluation.losses:
            return  # there was no time for it
        if evaluation.checkpoint:
            self.keep(trial.id, *evaluation.checkpoint)
        super().add(trial, evaluation, flops=flops, n_params=n_params)

    def keep(self, id: str, plan: TrainingPlan, state: TrainState) -> None:
        """Write the state of a training run; raise CheckpointError on failure."""
        plan = replace(plan, input=path_from_text(self.settings.input))
        content, description = encode_state(plan, state, "running")
        publish(self._place(id), {STATE: content, STATE_DESCRIPTION: description})

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
