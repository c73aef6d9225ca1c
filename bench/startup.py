"""Measure how long whole commands take, from start to exit.

Times whole processes, alternating with `python -c "import numpy"` as the baseline; the service, to
its first answer. Also times a first training with an empty cache, which compiles the engine for all
commands. Prints medians and ratios, and writes them to bench/results.

    uv run python bench/startup.py [--rounds 9]
"""

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from harness import parsed, store
from machine import machine
from tables import headed

MICROGPT = [sys.executable, "-m", "microgpt_cli"]
BASELINE, SERVE, FIRST = "import numpy", "microgpt-serve, first answer", "microgpt train"
COMMANDS = {
    BASELINE: [sys.executable, "-c", "import numpy"],
    "microgpt --help": [*MICROGPT, "--help"],
    "microgpt train --help": [*MICROGPT, "train", "--help"],
    "microgpt train --steps 0": [*MICROGPT, "train", "--steps", "0"],  # refused
    FIRST: [*MICROGPT, "train"],
    "microgpt generate": [*MICROGPT, "generate"],
    "microgpt eval": [*MICROGPT, "eval", "output", "--data", "held-out.txt"],
    SERVE: [str(Path(sys.executable).with_name("microgpt-serve"))],
}
PORT = 8471
FIRST_ROUNDS = 3  # first runs, each with an empty cache


def main() -> None:
    """Time the commands and write the results."""
    options = parsed(__doc__, rounds=9)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "held-out.txt").write_text("anna\n")
        for name in COMMANDS:  # warm-up: fill the compilation and disk caches
            seconds(name, folder, cache=f"{folder}/cache")
        for _ in range(options.rounds):
            for name in COMMANDS:
                times[name].append(seconds(name, folder, cache=f"{folder}/cache"))
        first = [seconds(FIRST, folder, cache=f"{folder}/{i}") for i in range(FIRST_ROUNDS)]
    baseline = statistics.median(times[BASELINE])
    rows = []
    for name, each in times.items():
        middle = statistics.median(each)
        rows.append({"name": name, "seconds": middle, "ratio": middle / baseline})
    found = {"machine": machine(all_cores=True), "commands": rows}
    found["first_s"] = statistics.median(first)
    print(startup_table(store("startup", found, options)))


def seconds(name: str, folder: str, cache: str) -> float:
    """Return the seconds of a command in an environment without PYTHON* variables."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    settings = {"NUMBA_CACHE_DIR": cache, "MODEL_DIR": "output", "PORT": str(PORT)}
    started = perf_counter()
    with subprocess.Popen(
        COMMANDS[name],
        cwd=folder,
        env={**environment, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        if name == SERVE:
            while process.poll() is None and not is_healthy():
                time.sleep(0.002)
            taken = perf_counter() - started
            process.terminate()
            process.wait()
            return taken
    if process.returncode not in (0, 2):
        raise RuntimeError(f"{name} failed")
    return perf_counter() - started


def is_healthy() -> bool:
    """Return whether the service answers."""
    with suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    return False


def startup_table(startup: dict) -> str:
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
