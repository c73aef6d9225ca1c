"""Options that `microgpt evolve` and `microgpt sweep` share, and their conflicts."""

from dataclasses import dataclass
from typing import Any

from microgpt import (
    FIELDS,
    ConfigError,
    Given,
    check_conflicts,
    check_setting,
    checked,
    flag,
    setting,
)

MAX_SEEDS = 1000  # training runs per model of a sweep

COUNTS = ("population", "generations", "seeds", "workers")


@dataclass(frozen=True)
class WorkerOptions:
    """Where the training runs of a study take place, and how long each may take."""

    workers: int | None = setting(
        None,
        "Number of parallel training runs; does not change the result.  "
        "[default: one per available CPU]",
        panel="Workers",
        short=True,
    )
    scheduler: str | None = setting(
        None, "Address of a Dask scheduler, such as tcp://host:8786.", panel="Workers"
    )
    trial_minutes: float | None = setting(
        None,
        "End a training run that takes longer; it is recorded as crashed, and the study goes on.",
        panel="Workers",
    )


def given_options(options: object) -> dict[str, Any]:
    """Return the options that have a value, by name, without flags that are not set."""
    values = vars(options).items()
    return {name: value for name, value in values if value is not None and value is not False}


def check_options(given: Given) -> None:
    """Raise ConfigError if an option is out of range, or if two contradict each other."""
    for name in COUNTS:
        if name in given:
            checked(name, given[name], int)
    settings = {name: given[name] for name in given if name in FIELDS}
    for name, value in settings.items():
        check_setting(name, value, typed(name))
    if "trial_minutes" in given:
        check_setting("minutes", given["trial_minutes"], "--trial-minutes")
    check_conflicts(settings)
    if "scheduler" in given and "workers" in given:
        refuse_both("--scheduler", "--workers")


def check_seeds(n_seeds: int, first: int) -> None:
    """Raise ConfigError if there are too many seeds, or if the last is out of range."""
    if n_seeds > MAX_SEEDS:
        raise ConfigError(f"seeds must be at most {MAX_SEEDS}, got {n_seeds}")
    check_setting("seed", first + n_seeds - 1)


def refuse_both(one: str, other: str) -> None:
    """Raise ConfigError for two options of which only one can be used."""
    raise ConfigError(f"{one} cannot be used with {other}; omit one of them")


def typed(name: str) -> str:
    """Return the name of an option as it is typed."""
    if name == "input":
        return "--data"
    return flag(name) if name in FIELDS else f"--{name.replace('_', '-')}"
