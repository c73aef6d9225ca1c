"""Measure the effect of some documents: training without them, compared with other seeds.

The names that begin with emm are left out of a training run that reads each name about ten times.
`microgpt compare` measures the change in the bits of these names, and `microgpt why` the change for
one of them without each of several groups; both are given as multiples of the spread over the
seeds. The time of `why` is compared
with its forecast.

    uv run python bench/what_if.py [--seeds 4]
"""

import json
import subprocess
import sys
import tempfile
from math import ceil
from pathlib import Path
from time import perf_counter

from harness import parsed
from machine import machine

from microgpt.resource_limits import n_cpus

TRAIN = ("train", "--preset", "names-10s", "-n", "0")
PATTERN, TEXT = "^emm", "emma"


def main() -> None:
    """Train, and print the changes and times."""
    seeds = parsed(__doc__, seeds=4).seeds
    with tempfile.TemporaryDirectory() as folder:

        def command(*args: str) -> str:
            program = [sys.executable, "-m", "microgpt_cli", *args]
            done = subprocess.run(
                program, cwd=folder, check=True, stdout=subprocess.PIPE, encoding="utf-8"
            )
            return done.stdout

        command(*TRAIN, "--model", "a")
        command(*TRAIN, "--model", "b", "--without", PATTERN)
        compared = json.loads(command("compare", "a", "b", "--seeds", str(seeds), "--json"))
        meta = json.loads(Path(folder, "a", "meta.json").read_text(encoding="utf-8"))
        started = perf_counter()
        why = json.loads(command("why", "a", TEXT, "--seeds", str(seeds), "--json"))
        seconds = perf_counter() - started
    print(f"{machine()}: {' '.join(TRAIN)}, {seeds + 1} seeds")
    print(_line(f"{PATTERN}, mean of the names that match", compared["a"], compared["b"]))
    for group in why["groups"]:
        print(_line(f"{TEXT} without {group['pattern']} ({group['n_docs']:,})", why, group))
    n, each = len(why["groups"]) + seeds, meta["training"]["seconds"]
    forecast = each * ceil(n / min(n, n_cpus()))
    ratio = f"{seconds / forecast:.2f} times the forecast of {forecast:.0f} s"
    print(f"why: {n} training runs of {each:.0f} s on {n_cpus()} CPUs in {seconds:.0f} s, {ratio}")


def _line(what: str, before: dict, after: dict) -> str:
    change = f"{before['bits']:.2f} bits, {after['change']:+.2f}"
    return f"{what}: {change}, {after['times']:+.1f} times the spread of {before['spread']:.2f}"


if __name__ == "__main__":
    main()
