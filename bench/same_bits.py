"""Compare the results of different computers bit by bit, and measure the engine in Node.

Trains nine architectures for 50 steps and decodes 4,000 names: on each kind of processor that this
computer can act as, in Node, and, with `--aarch64`, in an emulator of aarch64. That option is the
command of a Python with a wheel, such as "qemu-aarch64-static -L root root/usr/bin/python3". Prints
a table of the differences, and the time in Node relative to that of this computer with vectors of
the same size.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import numpy as np
from harness import BENCH, parsed, pin
from node import Image, Node
from same_bits_job import decoder_call, training_call

from microgpt.engine import processor, wasm
from microgpt.engine.machine_code import EntryPoint

JOB = BENCH / "same_bits_job.py"
HERE = {  # what can be run here, by the features for NUMBA_CPU_FEATURES that it needs
    "x86-64, SSE2": "",
    "x86-64, 16 bytes with FMA": "+fma",
    "x86-64, AVX2": processor.TARGETS["linux-x86-64-v3"].features,
    "x86-64, AVX-512": processor.TARGETS["linux-x86-64-v4"].features,
}
PAIRS = {"wasm32, Node": "x86-64, SSE2", "aarch64": "x86-64, 16 bytes with FMA"}
WARM_UP = 3  # rounds; Node first compiles quickly, then well
# Calls of a round, of which the fastest counts; each is short, so that other processes seldom run.
REPEATS = 20


def main() -> None:
    options = parsed(__doc__, rounds=20, aarch64="", timing="")
    if options.timing:  # with the modules in that directory, in the process started below
        pin()
        print_times(Path(options.timing), options.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        modules = Path(folder, "modules")
        wasm.write_modules(modules)
        print_table(compute(Path(folder), modules, options.aarch64))
        timing = [sys.executable, __file__, f"--timing={modules}", f"--rounds={options.rounds}"]
        run(timing, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")


def run(command: list[str], **settings: str) -> None:
    subprocess.run(command, env={**os.environ, **settings}, check=True)


def compute(folder: Path, modules: Path, aarch64: str) -> dict[str, dict[str, np.ndarray]]:
    """Return the numbers of each computer by their names."""
    jobs: dict[str, tuple[list[str], list[str], dict[str, str]]] = {}
    available = set(processor.FEATURES.split(","))
    for name, features in HERE.items():
        if set(filter(None, features.split(","))) <= available:
            target = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}
            jobs[name] = [sys.executable], [], target
    in_node = ["--modules", str(modules)]
    jobs["wasm32, Node"] = [sys.executable], in_node, {"MICROGPT_TARGET": "wasm32"}
    if aarch64:
        jobs["aarch64"] = shlex.split(aarch64), [], {}
    results = {}
    for number, (name, (python, extra, settings)) in enumerate(jobs.items()):
        path = folder / f"{number}.npz"
        run([*python, str(JOB), str(path), *extra], **settings)
        with np.load(path) as loaded:
            results[name] = {key: loaded[key] for key in loaded.files}
    return results


def print_table(results: dict[str, dict[str, np.ndarray]]) -> None:
    print("| computer | compared with | losses | weights | names | largest difference |")
    print("|---|---|---|---|---|---|", flush=True)
    base = "x86-64, SSE2"
    for name, found in results.items():
        for other in dict.fromkeys((PAIRS.get(name, base), base)):
            if other == name or other not in results:
                continue
            cells = [differing(found, results[other], kind) for kind in ("losses", "weights")]
            cells.append(differing(found, results[other], "names", whole_rows=True))
            print(f"| {name} | {other} | {' | '.join(cells)} | {largest(found, results[other])} |")


def differing(
    found: dict[str, np.ndarray],
    other: dict[str, np.ndarray],
    kind: str,
    *,
    whole_rows: bool = False,
) -> str:
    n = of = 0
    for key in (key for key in found if key.endswith(kind)):
        differs = found[key] != other[key]
        differs = differs.any(axis=1) if whole_rows else differs
        n, of = n + int(differs.sum()), of + differs.size
    return f"{n:,} of {of:,}" if n else "equal"


def largest(found: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> str:
    cells = []
    for dtype in ("float32", "float64"):
        keys = [key for key in found if key.startswith(dtype) and not key.endswith("names")]
        worst = max(float(np.abs(found[key] - other[key]).max()) for key in keys)
        cells.append(f"{worst:.0e} in {dtype}" if worst else "")
    return ", ".join(filter(None, cells)) or "0"


def print_times(modules: Path, rounds: int) -> None:
    print("\n| | here, ms | Node, ms | ratio, median | middle half |\n|---|---|---|---|---|")
    with Node(modules) as node:
        for name, call in (
            ("train 100 steps", training_call),
            ("generate 1,000 names", decoder_call),
        ):
            here, there, ratios = pairs(call, node, rounds)
            low, middle, high = quantiles(ratios, n=4)
            cells = f"{here:.2f}", f"{there:.2f}", f"{middle:.2f}", f"{low:.2f} to {high:.2f}"
            print("|", " | ".join((name, *cells)), "|")


def pairs(
    make: Callable[[], tuple[EntryPoint, tuple]], node: Node, rounds: int
) -> tuple[float, float, list[float]]:
    """Return the median milliseconds here and in Node, and the ratio of each round."""
    point, args = make()
    image, here, there = Image(args), list[float](), list[float]()
    content = image.bytes()
    for _ in range(WARM_UP + rounds):
        times = []
        for _ in range(REPEATS):
            image.write_back(content)
            started = perf_counter()
            result = point(*args)
            times.append(1000 * (perf_counter() - started))
        here.append(min(times))
        image.write_back(content)
        assert node.call(point._place, args, REPEATS) == result
        there.append(min(node.milliseconds))
    ratios = [b / a for a, b in zip(here[WARM_UP:], there[WARM_UP:], strict=True)]
    return median(here[WARM_UP:]), median(there[WARM_UP:]), ratios


if __name__ == "__main__":
    main()
