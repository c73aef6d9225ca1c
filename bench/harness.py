"""Shared code of benchmarks and studies: options, alternating rounds, rivals, stored results."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from filelock import FileLock
from machine import RESULTS, machine, results_file

from microgpt.config import ModelConfig, TrainConfig

BENCH = Path(__file__).parent
ROOT = BENCH.parent
FIRST_SEED = 42
PICTURED = "amd-epyc-zen-5-512-bit"  # machine whose results the single-machine charts show


def parsed(doc: str | None, **options: Any) -> argparse.Namespace:
    """Parse options, each given by its default, or by its type if that is None.

    A tuple or a mapping lists the choices; a list is the default of an option that may be repeated.
    `is_short` tells whether a number, such as that of the rounds, is below its default.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, given in options.items():
        option = "--" + name.replace("_", "-")
        if isinstance(given, bool):
            parser.add_argument(option, action="store_true")
        elif isinstance(given, tuple | dict):
            parser.add_argument(option, choices=given, metavar="NAME", help=", ".join(given))
        elif isinstance(given, list):
            parser.add_argument(option, action="append", default=given)
        elif isinstance(given, type):
            parser.add_argument(option, type=given)
        else:
            parser.add_argument(option, type=type(given), default=given)
    found = parser.parse_args()
    numbers = {name: given for name, given in options.items() if type(given) in (int, float)}
    found.is_short = any(getattr(found, name) < given for name, given in numbers.items())
    return found


def pin(core: int | None = None) -> None:
    """Pin this process and its children to a core, by default the first that it may use."""
    if hasattr(os, "sched_setaffinity"):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cores) if core is None else core})


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run the calls alternately, and return the median seconds of each after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            times[name].append(timed(call))
    return {name: median(each[1:]) for name, each in times.items()}


def timed(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = perf_counter()
    call()
    return perf_counter() - started


def script(path: Path, *arguments: object, python: str | None = None) -> list[str]:
    """Return the command of a rival, in an environment of uv or with the given interpreter."""
    program = [python] if python else ["uv", "run", "--quiet", "--script"]
    return [*program, str(path), *map(str, arguments)]


def pythons_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the interpreters of `--python torch=PATH`."""
    return dict(pair.split("=", 1) for pair in options.python)


def store(bench: str, found: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Write results of this machine with its name, the date and the commit, and return them.

    A run that is shorter than the default replaces no results.
    """
    kept = {"machine": machine(), "date": str(date.today()), **found}
    if options.is_short:
        print("not stored, because the run is shorter than the default", file=sys.stderr)
    else:
        kept["commit"] = commit()
        results_file(bench).write_text(json.dumps(kept) + "\n")
    return kept


def commit() -> str:
    """Return the abbreviated hash of the commit that is measured, or nothing outside a clone."""
    command = ["git", "rev-parse", "--short=8", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def results(bench: str) -> list[dict[str, Any]]:
    """Return the results of each machine, starting with PICTURED, or those that name none."""
    paths = sorted(RESULTS.glob(f"*/{bench}.json")) or sorted(RESULTS.glob(f"{bench}.json"))
    paths.sort(key=lambda path: path.parent.name != PICTURED)
    return [json.loads(path.read_text()) for path in paths]


@dataclass(frozen=True)
class Run:
    """A training run, identified by its name and the seed of the config.

    Attributes:
        measure: trains with the settings, and returns a dataclass of results; the label identifies
        the run in the progress display.
    """

    name: str
    model: ModelConfig
    config: TrainConfig
    measure: Callable[[ModelConfig, TrainConfig, str], Any]


TRAINING: dict[str, Any] = {"seeds": int, "core": int, "again": False}  # options of train_missing


def seeds(options: argparse.Namespace, n: int = 3) -> range:
    """Return the seeds: as many as `--seeds` specifies, by default n."""
    return range(FIRST_SEED, FIRST_SEED + (options.seeds or n))


def train_missing(bench: str, runs: Iterable[Run], options: argparse.Namespace) -> dict[str, Any]:
    """Carry out, on one core, the runs without a result for these settings; return all results.

    An interrupted benchmark can therefore be continued. With `--again`, existing results are
    replaced; with `--only NAME`, the other runs are left out.
    """
    pin(options.core)
    only = getattr(options, "only", None)
    for run in runs:
        if only and not (run.name == only or run.name.endswith(f", {only}")):
            continue
        settings = {**changed(run.model), **changed(run.config)}
        key = {"name": run.name, "seed": run.config.seed, "settings": settings}
        has_result = any(key.items() <= each.items() for each in stored_runs(bench)["trainings"])
        if options.again or not has_result:
            label = f"{run.name}, seed {run.config.seed}"
            found = run.measure(run.model, run.config, label)
            print(f"{label}: {found}", flush=True)
            add(bench, {**key, **vars(found)})
    return stored_runs(bench)


def stored_runs(bench: str) -> dict[str, Any]:
    """Return the training results of this machine."""
    path = results_file(bench)
    kept = json.loads(path.read_text()) if path.exists() else {"trainings": []}
    return {**kept, "machine": f"{machine()}, float32", "date": str(date.today())}


def add(bench: str, result: dict[str, Any]) -> None:
    """Add a training result; one with the same name and seed is replaced."""
    with FileLock(Path(tempfile.gettempdir(), f"microgpt-bench-{bench}.lock")):
        kept = stored_runs(bench)  # other benchmarks may run concurrently
        found = {(each["name"], each["seed"]): each for each in kept["trainings"]}
        found[result["name"], result["seed"]] = result
        kept["trainings"] = [found[key] for key in sorted(found)]
        results_file(bench).write_text(json.dumps(kept) + "\n")


def changed(settings: ModelConfig | TrainConfig) -> dict[str, Any]:
    """Return the settings that differ from the defaults, except the seed."""
    return {
        each.name: getattr(settings, each.name)
        for each in fields(settings)
        if each.name != "seed" and getattr(settings, each.name) != each.default
    }


def show_progress(label: str, step: int, steps: int, loss: float) -> None:
    """Show the progress of a training run on stderr; a terminal shows one updated line."""
    is_terminal = sys.stderr.isatty()
    line = f"{label}: step {step:,} of {steps:,}, A {loss:.4f}"
    end = "\n" if step >= steps or not is_terminal else "\r"
    print(line, end=end, file=sys.stderr, flush=True)
