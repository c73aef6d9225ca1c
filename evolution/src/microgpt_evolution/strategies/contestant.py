"""Contestants: organisms of a search with a budget, which are trained in rungs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from microgpt_evolution.trial import Trial

if TYPE_CHECKING:
    from microgpt import TrainState

EVALUATIONS = 8  # number of evaluations of a complete training run; a rung ends at one of them
RUNGS = (6, EVALUATIONS)  # evaluations at which a training run may pause; half-way losses mislead


@dataclass(frozen=True)
class Contestant(Trial):
    """An organism with its validation losses so far; infinity if its training run diverged.

    As a trial, it is a rung: its training run goes on up to the evaluation `until`.
    """

    losses: tuple[float, ...] = ()  # in nats per character, one per evaluation
    state: "TrainState | None" = field(default=None, compare=False, repr=False)

    @property
    def n_evaluations(self) -> int:
        """The number of evaluations of the rung."""
        assert self.until is not None
        return self.until - len(self.losses)

    @property
    def loss(self) -> float:
        """The lowest loss so far; the weights with this loss are kept."""
        return min(self.losses, default=math.inf)

    @property
    def next_rung(self) -> int:
        """The number of the evaluation that ends its next rung."""
        return next(rung for rung in RUNGS if rung > len(self.losses))

    @property
    def has_ended(self) -> bool:
        """Whether it will not be trained further."""
        return len(self.losses) == EVALUATIONS or math.inf in self.losses


def rank(organisms: Iterable[Contestant]) -> list[Contestant]:
    """Return the organisms that have a finite loss, best first."""
    finite = [organism for organism in organisms if organism.loss < math.inf]
    return sorted(finite, key=lambda organism: (organism.loss, organism.id))
