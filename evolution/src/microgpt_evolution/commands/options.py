"""Options that `microgpt evolve` and `microgpt sweep` share, and their conflicts."""

from collections.abc import Mapping
from copy import copy
from typing import Any

import typer

from microgpt import ConfigError, check_count, check_number, check_seed
from microgpt_cli.terminal import options as opt

WORKERS = opt.option(
    None,
    "Number of parallel training runs; does not change the result.  "
    "[default: one per available CPU]",
    rich_help_panel="Workers",
)
SCHEDULER = opt.option(
    None,
    "Address of a Dask scheduler, such as tcp://host:8786.",
    rich_help_panel="Workers",
    hidden=True,
)
ME, SEPARATOR = map(copy, (opt.ME, opt.SEPARATOR))
ME.hidden = SEPARATOR.hidden = True  # only --help-all lists them
COUNTS = ("population", "generations", "samples", "seeds", "workers")
AMOUNTS = ("minutes", "budget", "stop_after_minutes")


def given_options(ctx: typer.Context) -> dict[str, Any]:
    """Return the options that have a value, by name, without flags that are not set."""
    values = ctx.params.items()
    return {name: value for name, value in values if value is not None and value is not False}


def check_options(given: Mapping[str, Any]) -> None:
    """Raise ConfigError if an option is out of range, or if two contradict each other."""
    for name in COUNTS:
        if name in given:
            check_count(name, given[name])
    for name in AMOUNTS:
        if name in given:
            check_number(typed(name), given[name], "a number greater than 0", lambda x: x > 0)
    check_seed(given.get("seed", 0))
    for one, *others in (
        ("minutes", "budget", "preset"),
        ("budget", "preset"),
        ("chat", "column", "separator"),
        ("separator", "column"),
        ("scheduler", "workers"),
    ):
        for other in others:
            if one in given and other in given:
                refuse_both(typed(one), typed(other))
    if "separator" in given and given.get("text") == "stream":
        refuse_both("--separator", "--text stream")
    if "me" in given and "chat" not in given:
        raise ConfigError("--me requires --chat; add --chat or omit --me")


def refuse_both(one: str, other: str) -> None:
    """Raise ConfigError for two options of which only one can be used."""
    raise ConfigError(f"{one} cannot be used with {other}; omit one of them")


def typed(name: str) -> str:
    """Return the name of an option as it is typed."""
    return "--data" if name == "input" else f"--{name.replace('_', '-')}"
