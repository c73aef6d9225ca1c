"""Stagnation schedule: breed only the winners, then restart with random genomes."""

import math
from dataclasses import dataclass
from typing import Literal

StagnationStage = Literal["normal", "championship", "cataclysm"]

CHAMPIONSHIP_AFTER = 2  # generations without progress
CATACLYSM_AFTER = 4
PROGRESS = 1e-8  # smaller gains count as rounding errors


@dataclass(frozen=True)
class StagnationSchedule:
    """The number of generations without progress, and the stage that follows from it."""

    stagnation: int = 0  # generations without progress
    best: float | None = None  # best fitness of the last generation

    def after(self, best: float) -> "StagnationSchedule":
        """Return the schedule after one more generation with this best fitness.

        A worse fitness is not progress. evolve-rust resets its counter at any change; since its
        championships re-evaluate the elite, its cataclysm never happens.
        """
        if self.best is None:
            return StagnationSchedule(0, best)
        has_gained = best < math.inf and best <= self.best - PROGRESS
        return StagnationSchedule(0 if has_gained else self.stagnation + 1, best)

    @property
    def stage(self) -> StagnationStage:
        """The stage that breeds the next generation."""
        if self.stagnation >= CATACLYSM_AFTER:
            return "cataclysm"
        return "championship" if self.stagnation >= CHAMPIONSHIP_AFTER else "normal"

    def after_breeding(self) -> "StagnationSchedule":
        """Return the schedule for the bred generation; a cataclysm resets the count."""
        return StagnationSchedule(0, self.best) if self.stage == "cataclysm" else self
