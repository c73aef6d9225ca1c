"""Options that `microgpt evolve` and `microgpt sweep` share, and their conflicts."""

from collections.abc import Collection
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

WORKERS_HELP = (
    "Number of parallel training runs; does not change the result.  "
    "[default: one per available CPU]"
)
SCHEDULER_HELP = "Address of a Dask scheduler, such as tcp://host:8786."
COUNTS = ("population", "generations", "samples", "seeds", "workers")


@dataclass(frozen=True)
class Workers:
    """Where the training runs of a search or a sweep take place."""

    workers: int | None = setting(None, WORKERS_HELP, panel="Workers", short=True)
    scheduler: str | None = setting(None, SCHEDULER_HELP, panel="Workers")


def as_in_train(name: str, panel: str = "Data", *, short: bool = False) -> Any:
    """Return an option of `train` without its default; the short help lists only a short one."""
    rule = FIELDS[name]
    default = False if rule.type is bool else None
    return setting(default, rule.metadata["help"], flag(name), panel=panel, short=short)


def given_options(options: Workers) -> dict[str, Any]:
    """Return the options that have a value, by name, without flags that are not set."""
    values = vars(options).items()
    return {name: value for name, value in values if value is not None and value is not False}


def check_options(given: Given, axes: Collection[str] = ()) -> None:
    """Raise ConfigError if an option is out of range, or if two contradict each other.

    Args:
        axes: names of the settings that have lists of values.
    """
    for name in COUNTS:
        if name in given:
            checked(name, given[name], int)
    settings = {name: given[name] for name in given if name in FIELDS and name not in axes}
    for name, value in settings.items():
        check_setting(name, value, typed(name))
    check_conflicts(settings)
    if "scheduler" in given and "workers" in given:
        refuse_both("--scheduler", "--workers")


def refuse_both(one: str, other: str) -> None:
    """Raise ConfigError for two options of which only one can be used."""
    raise ConfigError(f"{one} cannot be used with {other}; omit one of them")


def typed(name: str) -> str:
    """Return the name of an option as it is typed."""
    if name == "input":
        return "--data"
    return flag(name) if name in FIELDS else f"--{name.replace('_', '-')}"
