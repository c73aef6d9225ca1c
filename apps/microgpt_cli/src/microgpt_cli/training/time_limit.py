"""The time limit of a command: `--minutes`."""

from dataclasses import dataclass
from time import perf_counter

from microgpt.config import ModelConfig
from microgpt.model import count_params
from microgpt.training.deadline import Deadline

# Seconds for Python's start, and for samples and files after training; more with --plot.
RESERVE_S, RESERVE_PER_WEIGHT_S, PLOT_S = 0.4, 3e-6, 2.0


@dataclass
class TimeLimit:
    """Counts down the seconds of a command, except those of the compilation."""

    minutes: float
    started: float  # reading of `perf_counter`
    reserve_s: float = RESERVE_S

    @classmethod
    def of(cls, minutes: float, started: float, *, has_plot: bool) -> "TimeLimit":
        """Return the limit of a command that started at a reading of `perf_counter`."""
        return cls(minutes, started, RESERVE_S + PLOT_S * has_plot)

    @property
    def seconds(self) -> float:
        """The time limit in seconds."""
        return 60 * self.minutes

    def deadline(self) -> Deadline:
        """Return the time at which training must end."""
        return Deadline(self.started + self.seconds - self.reserve_s, self.seconds)

    def seconds_left(self) -> float:
        """Return the time that is left for training, in seconds."""
        return self.deadline().end - perf_counter()

    def extend(self, seconds: float) -> None:
        """Do not count some seconds."""
        self.started += seconds

    def reserve_for(self, model: ModelConfig) -> None:
        """Reserve the time to write a model."""
        self.reserve_s += RESERVE_PER_WEIGHT_S * count_params(model)
