"""Stagnation schedule: breed only from the best organisms, then restart with random genomes."""

import math
from dataclasses import dataclass
from typing import Literal

StagnationStage = Literal["normal", "championship", "cataclysm"]

CHAMPIONSHIP_AFTER = 2  # number of generations without progress before a championship
CATACLYSM_AFTER = 4
PROGRESS = 1e-8  # minimum improvement; smaller gains may be rounding errors


@dataclass(frozen=True)
class StagnationSchedule:
    """Number of generations without progress, which determines the breeding stage."""

    stagnation: int = 0  # number of generations without progress
    best: float | None = None  # best fitness of the last generation

    def after(self, best: float) -> "StagnationSchedule":
        """Return the schedule updated with the best fitness of a generation.

        Only a lower fitness counts as progress. In evolve-rust, any change does; its championships
        re-evaluate the elite, which changes the fitness, so it never reaches a cataclysm.
        """
        if self.best is None:
            return StagnationSchedule(0, best)
        has_gained = best < math.inf and best <= self.best - PROGRESS
        return StagnationSchedule(0 if has_gained else self.stagnation + 1, best)

    @property
    def stage(self) -> StagnationStage:
        """The breeding stage for the next generation."""
        if self.stagnation >= CATACLYSM_AFTER:
            return "cataclysm"
        return "championship" if self.stagnation >= CHAMPIONSHIP_AFTER else "normal"

    def after_breeding(self) -> "StagnationSchedule":
        """Return the schedule after breeding; a cataclysm resets the counter."""
        return StagnationSchedule(0, self.best) if self.stage == "cataclysm" else self
