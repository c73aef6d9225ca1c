"""User-defined functions: learning-rate schedules, and numbers to minimise."""

import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt.config import TrainConfig
from microgpt.errors import ConfigError
from microgpt.schedule import learning_rate

Function = Callable[..., Any]


@dataclass(frozen=True)
class OwnSchedule(TrainConfig):
    """Training settings whose learning rate is that of a user-defined function."""

    schedule: Function = learning_rate  # has the arguments of `schedule.learning_rate`

    @classmethod
    def checked(cls, config: TrainConfig, schedule: Function) -> "OwnSchedule":
        """Return the settings with a schedule; raise ConfigError if one of its rates is invalid."""
        own = cls(**vars(config), schedule=schedule)
        for step in range(config.steps):
            own.lr_at(step)
        return own

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step; raise ConfigError unless it is finite and >= 0."""
        settings = {"lr": self.initial_lr, "steps": self.steps, "warmup_steps": self.warmup_steps}
        rate = number_from(self.schedule, step, **settings)
        if not 0 <= rate < math.inf:
            name = getattr(self.schedule, "__name__", "the schedule")
            raise ConfigError(
                "a learning rate must be a finite number of at least 0, but "
                f"{name} returned {rate:g} for step {step}"
            )
        return rate


def number_from(function: Function, *arguments: Any, **options: Any) -> float:
    """Call a user-defined function and return its number.

    Raises:
        ConfigError: it raises an exception or does not return a number (NaN counts as a number).
    """
    name = getattr(function, "__name__", "the function")
    try:
        value = function(*arguments, **options)
    except (Exception, SystemExit) as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        *_, last = traceback.extract_tb(error.__traceback__)
        where = f" ({Path(last.filename).name}, line {last.lineno})"
        if last.filename == __file__:  # the call itself has failed
            names = [*["…"] * len(arguments), *(f"{option}=…" for option in options)]
            where = f"; it is called as {name}({', '.join(names)})"
        raise ConfigError(f"{name} raised {problem:.200}{where}") from error
    try:
        return float(value + 0)
    except OverflowError:  # such as 10**400
        return math.inf
    except (TypeError, ValueError, ArithmeticError) as error:  # the last: Decimal("sNaN")
        raise ConfigError(f"{name} must return a number, got {value!r:.80}") from error
