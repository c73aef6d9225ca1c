"""Options, default paths and checks that `microgpt evolve` and `microgpt sweep` share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt import FIELDS, ConfigError, Given, check_conflicts, check_setting, checked, setting
from microgpt_cli.terminal import options as opt

RUNS = Path("experiments")  # default directory for searches and sweeps
DEFAULT_GENOME = Path("genome.json")  # default output file of a search
# Arguments with which `setting` or `option` creates the option --data.
INPUT = None, f"{opt.TEXT_HELP}.  [default: data/{opt.DEFAULT_TEXT}]", *opt.DATA
WORKERS = """Number of parallel training runs; does not change the result.  \
[default: one per available CPU]"""
SCHEDULER = "Address of a Dask scheduler, such as tcp://host:8786."


@dataclass(frozen=True)
class WorkerOptions:
    """Options for the workers that train the models of a study."""

    workers: int | None = setting(None, WORKERS, panel="Workers", short=True)
    scheduler: str | None = setting(None, SCHEDULER, panel="Workers")


def given_of(options: Mapping[str, Any]) -> Given:
    """Return the options that the user set; raise ConfigError if any are invalid or conflict."""
    given = {name: each for name, each in options.items() if each is not None and each is not False}
    settings = {name: value for name, value in given.items() if name in FIELDS}
    for name in given.keys() & {"population", "generations", "seeds", "workers"}:
        checked(name, given[name], int)
    for name, value in settings.items():
        check_setting(name, value, typed(name))
    check_conflicts(settings)
    if "scheduler" in given and "workers" in given:
        refuse_both("--scheduler", "--workers")
    return given


def refuse_both(one: str, other: str) -> None:
    """Raise ConfigError for two options that exclude each other."""
    raise ConfigError(f"{one} cannot be used with {other}; omit one of them")


def typed(name: str) -> str:
    """Return the name of an option as a user types it."""
    return "--data" if name == "input" else f"--{name.replace('_', '-')}"


def newest_run(begin: str = "") -> Path:
    """Return the newest run or, for a command such as "sweep steps", the newest run of `sweep`.

    Raise ConfigError if there is none.
    """
    kind = begin.partition(" ")[0]
    found = [path.parent for path in RUNS.glob(f"{kind}*/settings.json")]
    if not found:
        what, how = f"{kind} run".strip(), f"create one with `microgpt {begin or 'evolve'}`"
        raise ConfigError(f"there is no {what} in {RUNS}; {how}")
    return max(found, key=lambda directory: (directory / "settings.json").stat().st_mtime_ns)
