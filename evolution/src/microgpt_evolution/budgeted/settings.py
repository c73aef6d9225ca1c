"""Settings of a budgeted search, stored in run.json and used again when the run is resumed."""

from random import Random
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from microgpt.config import MAX_SEED, TextKind
from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.objectives.loss_objective import MAX_BYTES
from microgpt_evolution.runs.run_directory import BUDGETED, RunSettings
from microgpt_evolution.space import Space

_Operations = Annotated[float, Field(gt=0)]
_Count = Annotated[int, Field(ge=1)]


class BudgetedSettings(RunSettings):
    """The settings of a budgeted search, as stored in run.json."""

    kind = BUDGETED
    genomes = "first"

    budget: _Operations  # operations of the search
    operations: _Operations  # operations of a complete training run, without evaluations
    input: Annotated[str, Field(pattern=r"^[^\x00]+$")]  # path of the documents when the run began
    column: str | None = None  # column or field with the documents
    chat: bool = False  # whether the documents are conversations
    text: TextKind
    data_sha256: str  # SHA-256 of all documents
    held_out: float  # fraction of the documents in each of the validation and test sets
    gap: int = 0  # number of unused characters around held-out stretches of running text
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)]
    minutes: Annotated[float, Field(gt=0)] | None = None  # the budget was computed from this time
    max_weights: _Count | None = None
    max_bytes: _Count = MAX_BYTES  # memory limit per training run; the same on every machine
    target: float | None = None  # loss at which the search ends
    distill: int = 0  # maximum number of organisms that teach a student at the end
    teacher_samples: int = 0  # number of documents that they make up for it
    first: tuple[BudgetedGenome, ...]  # genomes of the first generation
    values: dict[str, tuple[Any, ...]]  # values of each gene
    rates: dict[str, float]  # relative mutation rates; 1 for other genes
    train_winner: str | None = None  # path of the directory for the model of the winner

    @model_validator(mode="after")
    def _check_space(self) -> Self:
        """Raise GenomeError if the first genome has no mutants, before a run is created."""
        Space(self.values, self.rates).mutate(self.first[0], Random(0))
        return self
