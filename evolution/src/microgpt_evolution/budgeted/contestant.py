"""An organism of a budgeted search, and its losses so far."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.budgeted.objective import EVALUATIONS

RUNGS = (6, EVALUATIONS)  # evaluations at which a training run may pause; half-way losses mislead
Origin = Literal["given", "mutant", "cross"]


@dataclass(frozen=True)
class Contestant:
    """An organism of a budgeted search, with its validation losses so far."""

    id: str  # such as "g3-5": the fifth organism of the third generation
    genome: BudgetedGenome
    origin: Origin
    parents: tuple[str, ...]
    seed: int  # of its training run
    losses: tuple[float, ...] = ()  # in nats per character, one per evaluation

    @property
    def loss(self) -> float:
        """The lowest loss so far; the weights with this loss are kept."""
        return min(self.losses, default=math.inf)

    @property
    def generation(self) -> int:
        """The number of its generation, counted from 1."""
        return int(self.id[1:].partition("-")[0])

    @property
    def next_rung(self) -> int:
        """The evaluation up to which it trains next."""
        return next(rung for rung in RUNGS if rung > len(self.losses))

    @property
    def n_next(self) -> int:
        """The number of evaluations up to the next rung."""
        return self.next_rung - len(self.losses)

    @property
    def has_ended(self) -> bool:
        """Whether its training run is complete or has diverged."""
        return len(self.losses) == EVALUATIONS or math.inf in self.losses

    @property
    def is_complete(self) -> bool:
        """Whether its training run has ended with a finite loss."""
        return len(self.losses) == EVALUATIONS and self.loss < math.inf


def rank(organisms: Iterable[Contestant]) -> list[Contestant]:
    """Return the organisms without those that have no finite loss, the best first."""
    finite = [organism for organism in organisms if organism.loss < math.inf]
    return sorted(finite, key=lambda organism: (organism.loss, organism.id))
