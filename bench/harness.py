"""Shared code of benchmarks: options, commands, alternating rounds, stored results, tables."""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean, stdev
from time import perf_counter
from typing import Any

from microgpt_engine import simd

BENCH = Path(__file__).parent
ROOT = BENCH.parent
RESULTS = BENCH / "results"
FIRST_SEED = 42
VECTORS = {64: "AVX-512", 32: "AVX2"}  # instruction sets, by bytes per vector


def parsed(doc: str | None, **options: Any) -> argparse.Namespace:
    """Parse command-line options, each defined by its default or by a collection of choices.

    `is_short` of the result is true if a numeric option, such as --rounds, is below its default.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, given in options.items():
        option = "--" + name.replace("_", "-")
        if isinstance(given, bool):
            parser.add_argument(option, action="store_true")
        elif isinstance(given, tuple | dict):
            parser.add_argument(option, choices=given, metavar="NAME", help=" | ".join(given))
        else:
            parser.add_argument(option, type=type(given), default=given)
    found = parser.parse_args()
    numbers = {name: given for name, given in options.items() if type(given) in (int, float)}
    found.is_short = any(getattr(found, name) < given for name, given in numbers.items())
    return found


def needs(*packages: str) -> None:
    """Restart the script with `uv run --with` if a package, such as "torch==2.13.0", is missing."""
    try:
        for package in packages:
            version(package.partition("==")[0])
    except PackageNotFoundError:
        os.execvp("uv", ["uv", "run", *(f"--with={each}" for each in packages), *sys.argv])


def pin() -> None:
    """Pin this process and its children to the first core available to it."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def command(*words: object) -> dict[str, Any]:
    """Run a `microgpt` command with --json, and return its output."""
    full = [sys.executable, "-m", "microgpt_cli", *map(str, words), "--json"]
    done = subprocess.run(full, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def machine(*, all_cores: bool = False) -> str:
    """Return the processor, the number of usable cores, the system and the Python version.

    Cloud machines report names such as "AMD EPYC" or "Intel Xeon" for many generations, some of
    which do twice as many multiply-adds per core as others, so the microarchitecture and the width
    of the kernels' vectors are included.
    """
    found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    cpu = re.sub(r"\(R\)|\(TM\)| Processor", "", found[1] if found else platform.machine())
    # LLVM's znver4 becomes AMD's "Zen 4"; Intel's names, such as sapphirerapids, are kept.
    name = re.sub(r"^znver(\d)$", r"Zen \1", simd.NAME)
    n_cores = len(os.sched_getaffinity(0))
    parts = [
        f"{cpu} ({name}, {8 * simd.VECTOR_BYTES}-bit)",
        *([VECTORS[simd.VECTOR_BYTES]] if simd.VECTOR_BYTES in VECTORS else []),
        f"{n_cores} cores" if all_cores and n_cores != 1 else "one core",
        platform.system(),
        f"CPython {platform.python_version()}",
    ]
    return ", ".join(parts)


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Call each function in turn; return its time in each round after a warm-up, in seconds.

    If a call returns a float, this is the time in seconds that the call itself has measured.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            started = perf_counter()
            found = call()
            times[name].append(found if isinstance(found, float) else perf_counter() - started)
    return {name: each[1:] for name, each in times.items()}


def store(bench: str, found: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Write a benchmark's results with the machine, the date and the commit, and return them.

    Results of a run that is shorter than the default are returned but not written.
    """
    kept = {"machine": machine(), **found, **now()}
    if options.is_short:
        print("not stored, because the run is shorter than the default", file=sys.stderr)
    else:
        results_file(bench).write_text(json.dumps(kept) + "\n")
    return kept


def now() -> dict[str, str]:
    """Return the date and the commit; the commit is "" outside a clone."""
    command = ["git", "rev-parse", "--short=8", "HEAD"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return {"date": str(date.today()), "commit": git.stdout.strip()}


def results_file(bench: str) -> Path:
    """Return the path of a benchmark's results."""
    return RESULTS / f"{bench}.json"


TRAINING: dict[str, Any] = {"seeds": 3, "again": False}  # options that `train_missing` needs


def train_missing(
    bench: str,
    measures: Mapping[str, Callable[[int], dict[str, Any]]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Train the models for which this machine has no results, on one core; return all results.

    An interrupted benchmark can therefore be continued. With `--again`, existing results are
    replaced; with `--only NAME`, only models of that name are trained. Only a full run replaces
    results of another machine. `measures` maps the name of a model to a function that trains it
    with a given seed and returns results.
    """
    pin()
    path, here = results_file(bench), f"{machine()}, float32"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    is_stored = kept.get("machine") == here or not (options.is_short or options.only)
    if not is_stored:
        print("not stored, because the stored results are of another machine", file=sys.stderr)
    if kept.get("machine") != here:
        kept = {"trainings": []}
    found = {(each["name"], each["seed"]): each for each in kept["trainings"]}
    for name, measure in measures.items():
        if options.only and not (name == options.only or name.endswith(f", {options.only}")):
            continue
        for seed in range(FIRST_SEED, FIRST_SEED + options.seeds):
            if options.again or (name, seed) not in found:
                found[name, seed] = {"name": name, "seed": seed, **measure(seed)}
                print(found[name, seed], flush=True)
                runs = [found[key] for key in sorted(found)]
                kept = {"machine": here, **now(), "trainings": runs}
                if is_stored:
                    path.write_text(json.dumps(kept) + "\n")
    return {"machine": here, **now(), **kept}


def runs_of(kept: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the training runs with a given name."""
    return [each for each in kept["trainings"] if each["name"] == name]


def headed(
    head: Sequence[str], lines: Iterable[Sequence[str]], on: Mapping[str, Any] | None = None
) -> str:
    """Return a Markdown table; `on` holds the machine, date and commit to print below it."""
    rows = ["| " + " | ".join(row) + " |" for row in (head, *lines)]
    rows.insert(1, "|---" + "|---:" * (len(head) - 1) + "|")
    if on:
        commit = f", at commit {on['commit']}" if "commit" in on else ""
        rows += ["", f"Measured on {on['date']}{commit}, on this machine: {on['machine']}."]
    return "\n".join(rows)


def mean_and_sd(numbers: Iterable[float], digits: int = 4) -> str:
    """Format the mean of numbers, and their standard deviation if there are several."""
    numbers = list(numbers)
    if not numbers:
        return ""
    spread = [f"{stdev(numbers):.{digits}f}"] if len(numbers) > 1 else []
    return " ± ".join([f"{fmean(numbers):.{digits}f}", *spread])
