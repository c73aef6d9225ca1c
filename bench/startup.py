"""Measure how long whole commands take, from start to exit.

Times whole processes, alternating with an empty Python process as the baseline. Also times the
first run of each command with an empty cache, which compiles the engine. Prints medians and writes
them to bench/results.

    uv run python bench/startup.py [--rounds 9]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter

from train_speed import machine, results_file

MICROGPT = [sys.executable, "-m", "microgpt_cli"]
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "microgpt --help": [*MICROGPT, "--help"],
    "microgpt train --steps 1": [*MICROGPT, "train", "--steps", "1", "--force"],
    "microgpt train": [*MICROGPT, "train"],
    "microgpt generate": [*MICROGPT, "generate"],
    "microgpt eval": [*MICROGPT, "eval", "output", "--data", "held-out.txt"],
}
FIRST_ROUNDS = 3  # rounds of first runs, each with an empty cache


def main() -> None:
    """Time the commands and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    facts = machine(all_cores=True)
    print(facts)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    first: dict[str, list[float]] = {name: [] for name in COMMANDS if name != "python"}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "held-out.txt").write_text("anna\n")
        for command in COMMANDS.values():  # warm-up: fill the compilation and disk caches
            seconds(command, folder, cache=f"{folder}/cache")
        for _ in range(rounds):
            for name, command in COMMANDS.items():
                times[name].append(seconds(command, folder, cache=f"{folder}/cache"))
        for i in range(FIRST_ROUNDS):
            for name in first:
                first[name].append(seconds(COMMANDS[name], folder, cache=f"{folder}/{name}{i}"))
    kept = {"machine": facts, "date": str(date.today()), "commands": []}
    baseline = statistics.median(times["python"])
    for name in COMMANDS:
        middle = statistics.median(times[name])
        line = f"{name:26}| {middle:.2f} s: {middle / baseline:.1f} × an empty Python process"
        row = {"name": name, "seconds": middle}
        if name in first:
            row["first_s"] = statistics.median(first[name])
            line += f" | first run {row['first_s']:.2f} s"
        print(line)
        kept["commands"].append(row)
    results_file("startup").write_text(json.dumps(kept, indent=1) + "\n")


def seconds(command: list[str], folder: str, cache: str) -> float:
    """Return the seconds of a command in an environment without PYTHON* variables."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    started = perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        env={**environment, "NUMBA_CACHE_DIR": cache},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return perf_counter() - started


if __name__ == "__main__":
    main()
