"""User-defined functions: learning-rate schedules, and numbers to minimise."""

import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
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
    """Return the number that a function returns, also NaN; raise ConfigError if it has none."""
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
        if isinstance(value, Real | Decimal) and not isinstance(value, bool):
            return float(value)
    except OverflowError:  # such as 10**400
        return math.inf
    except ValueError:  # Decimal("sNaN")
        pass
    raise ConfigError(f"{name} must return a number, got {value!r:.80}")
