"""Objectives that workers in other processes import."""

import os
import signal
from dataclasses import dataclass

from microgpt_evolution.trial import Evaluation, Trial

KILLER = 3  # seed of a trial that kills its worker


@dataclass
class Squares:
    """An objective that measures the square of the seed; if `kills`, one trial kills its worker."""

    kills: bool = False

    def flops(self, trial: Trial) -> float:
        return 1.0

    def n_params(self, genome: object) -> int:
        return 1

    def measure(self, trial: Trial, should_stop: object = None) -> Evaluation:
        if trial.seed == KILLER and self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        return Evaluation("ok", trial.seed**2)


@dataclass
class Tally(Squares):
    """An objective that counts its trials, beginning after `n`."""

    n: int = 0

    def measure(self, trial: Trial, should_stop: object = None) -> Evaluation:
        self.n += 1
        return Evaluation("ok", self.n)
