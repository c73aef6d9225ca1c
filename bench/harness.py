"""Shared code of benchmarks: options, alternating rounds, rivals, stored results."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from machine import machine

from microgpt import Hook, TrainingDirectory, TrainingJob, TrainResult, train_job, with_teachers

BENCH = Path(__file__).parent
ROOT = BENCH.parent
RESULTS = BENCH / "results"
FIRST_SEED = 42


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
            started = perf_counter()
            call()
            times[name].append(perf_counter() - started)
    return {name: median(each[1:]) for name, each in times.items()}


def script(path: Path, *arguments: object, python: str | None = None) -> list[str]:
    """Return the command of a rival, in an environment of uv or with the given interpreter."""
    program = [python] if python else ["uv", "run", "--quiet", "--script"]
    return [*program, str(path), *map(str, arguments)]


def store(bench: str, found: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Write results with the machine, the date and the commit, and return them.

    A run that is shorter than the default replaces no results.
    """
    kept = {"machine": machine(), "date": str(date.today()), **found}
    if options.is_short:
        print("not stored, because the run is shorter than the default", file=sys.stderr)
    else:
        command = ["git", "rev-parse", "--short=8", "HEAD"]
        git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        kept["commit"] = git.stdout.strip()  # nothing outside a clone
        results_file(bench).write_text(json.dumps(kept) + "\n")
    return kept


def results_file(bench: str) -> Path:
    """Return the path of a benchmark's results."""
    return RESULTS / f"{bench}.json"


def trained(job: TrainingJob, hooks: Sequence[Hook] = ()) -> TrainResult:
    """Train the model of a job, after the teachers of its ensemble, in a temporary directory."""

    def train(teacher: TrainingJob, directory: TrainingDirectory) -> TrainResult:
        result = train_job(teacher, hooks=hooks)
        directory.finish(result)
        return result

    if not job.plan.ensemble:
        return train_job(job, hooks=hooks)
    with TemporaryDirectory() as folder, TrainingDirectory(Path(folder, "model")) as directory:
        return train_job(with_teachers(job, directory, train), hooks=hooks)


TRAINING: dict[str, Any] = {"seeds": 3, "core": int, "again": False}  # options of train_missing


def train_missing(
    bench: str, measures: Mapping[str, Callable[[int, str], Any]], options: argparse.Namespace
) -> dict[str, Any]:
    """Carry out, on one core, the training runs without a result; return all results.

    An interrupted benchmark can therefore be continued. With `--again`, existing results are
    replaced; with `--only NAME`, the other runs are left out.

    Args:
        measures: functions that train with a seed, and return a dataclass of results, by the name
            of the run; they show their progress with the given label.
    """
    pin(options.core)
    for name, measure in measures.items():
        if options.only and not (name == options.only or name.endswith(f", {options.only}")):
            continue
        for seed in seeds(options):
            known = {(each["name"], each["seed"]) for each in stored_runs(bench)["trainings"]}
            if options.again or (name, seed) not in known:
                label = f"{name}, seed {seed}"
                found = measure(seed, label)
                print(f"{label}: {found}", flush=True)
                add(bench, {"name": name, "seed": seed, **vars(found)})
    return stored_runs(bench)


def seeds(options: argparse.Namespace) -> range:
    """Return as many seeds as `--seeds` specifies."""
    return range(FIRST_SEED, FIRST_SEED + options.seeds)


def stored_runs(bench: str) -> dict[str, Any]:
    """Return the stored training results of this machine."""
    path, here = results_file(bench), f"{machine()}, float32"
    kept = json.loads(path.read_text()) if path.exists() else {}
    found = kept["trainings"] if kept.get("machine") == here else []
    return {"trainings": found, "machine": here, "date": str(date.today())}


def add(bench: str, result: dict[str, Any]) -> None:
    """Add a training result; one of another machine, or with its name and seed, is replaced."""
    kept = stored_runs(bench)
    found = {(each["name"], each["seed"]): each for each in kept["trainings"]}
    found[result["name"], result["seed"]] = result
    kept["trainings"] = [found[key] for key in sorted(found)]
    results_file(bench).write_text(json.dumps(kept) + "\n")


def show_progress(label: str, step: int, steps: int, loss: float) -> None:
    """Show the progress of a training run on stderr; a terminal shows one updated line."""
    is_terminal = sys.stderr.isatty()
    line = f"{label}: step {step:,} of {steps:,}, A {loss:.4f}"
    end = "\n" if step >= steps or not is_terminal else "\r"
    print(line, end=end, file=sys.stderr, flush=True)
