"""The time limit of a training run, including its preparation."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from microgpt.config import ModelConfig
from microgpt.flat_weights import count_params
from microgpt.training.engines import prepare_engine

# Seconds for Python's start, and for samples and files after training; more with --chat.
RESERVE_S, RESERVE_PER_WEIGHT_S, REPLIES_S = 0.4, 3e-6, 0.6


@dataclass
class TimeLimit:
    """Counts down the seconds of a run, excluding compilation."""

    minutes: float
    started: float  # reading of the clock when the run started
    reserve_s: float = RESERVE_S
    clock: Callable[[], float] = perf_counter  # in seconds
    # Loads the kernels with which the speed is measured; returns the seconds of the compilation.
    load_kernels: Callable[..., float] = prepare_engine

    @property
    def seconds(self) -> float:
        """The time limit in seconds."""
        return 60 * self.minutes

    def seconds_left(self) -> float:
        """Return the remaining time for training, in seconds."""
        return self.started + self.seconds - self.reserve_s - self.clock()

    def extend(self, seconds: float) -> None:
        """Exclude some seconds from the limit."""
        self.started += seconds

    def reserve_for(self, model: ModelConfig, *, is_chat: bool) -> None:
        """Reserve the time to write a model and to generate the replies of a chat model."""
        self.reserve_s += RESERVE_PER_WEIGHT_S * count_params(model) + REPLIES_S * is_chat
