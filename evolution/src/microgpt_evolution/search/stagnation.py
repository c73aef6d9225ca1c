"""Stagnation schedule: a stuck search breeds its winners, then restarts with random genomes."""

import math
from dataclasses import dataclass
from typing import Literal

StagnationStage = Literal["normal", "championship", "cataclysm"]

CHAMPIONSHIP_AFTER = 2  # generations without progress
CATACLYSM_AFTER = 4
PROGRESS = 1e-8  # a smaller gain is rounding


@dataclass(frozen=True)
class StagnationSchedule:
    """How long a search has been stuck."""

    stagnation: int = 0  # generations without progress
    best: float | None = None  # the best fitness of the last generation

    def after(self, best: float) -> "StagnationSchedule":
        """Return it with one more generation, which has this best fitness.

        A worse fitness is no progress. evolve-rust resets its counter at any change, and its
        championships measure the elite anew, so its cataclysm never comes.
        """
        if self.best is None:
            return StagnationSchedule(0, best)
        has_gained = best < math.inf and best <= self.best - PROGRESS
        return StagnationSchedule(0 if has_gained else self.stagnation + 1, best)

    @property
    def stage(self) -> StagnationStage:
        """How to breed the next generation."""
        if self.stagnation >= CATACLYSM_AFTER:
            return "cataclysm"
        return "championship" if self.stagnation >= CHAMPIONSHIP_AFTER else "normal"

    def after_breeding(self) -> "StagnationSchedule":
        """Return it for the generation that has been bred: a cataclysm is a new start."""
        return StagnationSchedule(0, self.best) if self.stage == "cataclysm" else self
