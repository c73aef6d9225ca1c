"""Measure how long whole commands take, from start to exit.

Times whole processes, and the service up to its first response, alternating with `python -c "import
numpy"` as the baseline. Also times a first training run with an empty cache, which compiles the
engine for all commands. Prints medians and ratios, and writes them to bench/results.

    uv run python bench/startup.py [--rounds 9]
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from urllib.request import urlopen

from harness import headed, in_turns, machine, parsed, store
from serving import SERVE, started

MICROGPT = [sys.executable, "-m", "microgpt_cli"]
BASELINE, SERVICE, FIRST = "import numpy", "microgpt-serve, first answer", "microgpt train"
COMMANDS = {
    BASELINE: [sys.executable, "-c", "import numpy"],
    "microgpt --help": [*MICROGPT, "--help"],
    "microgpt train --help": [*MICROGPT, "train", "--help"],
    "microgpt train --steps 0": [*MICROGPT, "train", "--steps", "0"],  # refused with exit code 2
    FIRST: [*MICROGPT, "train"],
    "microgpt generate": [*MICROGPT, "generate"],
    "microgpt generate -n 300000": [*MICROGPT, "generate", "-n", "300000"],
    "microgpt eval": [*MICROGPT, "eval", "output", "--data", "held-out.txt"],
    SERVICE: SERVE,
}
FIRST_ROUNDS = 3  # number of runs with an empty cache


def main() -> None:
    options = parsed(__doc__, rounds=9)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "held-out.txt").write_text("anna\n")
        calls = {name: partial(seconds, name, folder, f"{folder}/cache") for name in COMMANDS}
        times = {name: median(each) for name, each in in_turns(calls, options.rounds).items()}
        first = [seconds(FIRST, folder, f"{folder}/{i}") for i in range(FIRST_ROUNDS)]
    rows = [
        {"name": name, "seconds": each, "ratio": each / times[BASELINE]}
        for name, each in times.items()
    ]
    found = {"machine": machine(all_cores=True), "commands": rows, "first_s": median(first)}
    print(startup_table(store("startup", found, options)))


def seconds(name: str, folder: str, cache: str) -> float:
    """Return the seconds that a command takes in an environment without PYTHON* variables."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment = inherited | {"NUMBA_CACHE_DIR": cache}
    began = perf_counter()
    if name == SERVICE:
        with started(SERVE, environment | {"MODEL_DIR": f"{folder}/output"}) as service:
            urlopen(f"http://127.0.0.1:{service.port}/health").close()
            return perf_counter() - began
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    done = subprocess.run(COMMANDS[name], cwd=folder, env=environment, **streams)
    if done.returncode not in (0, 2):
        raise RuntimeError(f"{name} failed")
    return perf_counter() - began


def startup_table(startup: dict[str, Any]) -> str:
    """Return a table of the time of each command and its ratio to the baseline."""
    lines = [
        [f"`{row['name']}`", f"{row['seconds']:.2f} s", f"{row['ratio']:.1f} ×"]
        for row in startup["commands"]
    ]
    lines.append(["first `microgpt train`, which compiles", f"{startup['first_s']:.1f} s", ""])
    return headed(["", "", "× `import numpy`"], lines, startup)


TABLES = {"startup": startup_table}

if __name__ == "__main__":
    main()
