"""Objectives for workers in other processes: they import them from here."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from microgpt_evolution.trial import Evaluation, Trial

KILLER = 3  # seed of a trial that kills its worker


@dataclass(frozen=True)
class Squares:
    """Measure the square of the seed; some objectives kill the worker, once or always."""

    kills: bool = False
    marker: Path | None = None  # exists once a worker has died

    def flops(self, trial: Trial) -> float:
        return 1.0

    def n_params(self, genome: object) -> int:
        return 1

    def measure(self, trial: Trial, should_stop: object = None) -> Evaluation:
        if trial.seed == KILLER and (self.kills or (self.marker and not self.marker.exists())):
            if self.marker:
                self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Evaluation("ok", trial.seed**2)
