"""Options that `microgpt evolve` and `microgpt sweep` share, and their conflicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from microgpt import (
    FIELDS,
    ConfigError,
    Given,
    check_conflicts,
    check_setting,
    checked,
    setting,
)

MAX_SEEDS = 1000  # training runs per model of a sweep


WORKERS = """Number of parallel training runs; does not change the result.  \
[default: one per available CPU]"""
SCHEDULER = "Address of a Dask scheduler, such as tcp://host:8786."
TRIAL_MINUTES = (
    "End a training run that takes longer; it is recorded as crashed, and the study goes on."
)


@dataclass(frozen=True)
class WorkerOptions:
    """Where the training runs of a study take place, and how long each may take."""

    workers: int | None = setting(None, WORKERS, panel="Workers", short=True)
    scheduler: str | None = setting(None, SCHEDULER, panel="Workers")
    trial_minutes: float | None = setting(None, TRIAL_MINUTES, panel="Workers")


def given_of(options: Mapping[str, Any]) -> Given:
    """Return the options that have a value; raise ConfigError if one of them cannot be used."""
    given = {name: each for name, each in options.items() if each is not None and each is not False}
    settings = {name: value for name, value in given.items() if name in FIELDS}
    for name in given.keys() & {"population", "generations", "seeds", "workers"}:
        checked(name, given[name], int)
    for name, value in settings.items():
        check_setting(name, value, typed(name))
    if "trial_minutes" in given:
        check_setting("minutes", given["trial_minutes"], "--trial-minutes")
    check_conflicts(settings)
    if {"seed", "seeds"} <= given.keys():
        seeds_from(given["seed"], given["seeds"])
    if "scheduler" in given and "workers" in given:
        refuse_both("--scheduler", "--workers")
    return given


def seeds_from(first: int, n: int) -> tuple[int, ...]:
    """Return consecutive seeds; raise ConfigError if there are too many, or one is too large."""
    if n > MAX_SEEDS:
        raise ConfigError(f"seeds must be at most {MAX_SEEDS}, got {n}")
    check_setting("seed", first + n - 1)
    return tuple(range(first, first + n))


def refuse_both(one: str, other: str) -> None:
    """Raise ConfigError for two options of which only one can be used."""
    raise ConfigError(f"{one} cannot be used with {other}; omit one of them")


def typed(name: str) -> str:
    """Return the name of an option as it is typed."""
    return "--data" if name == "input" else f"--{name.replace('_', '-')}"
