"""Run the benchmarks for the tables of docs/measurements; takes two hours on two cores.

    uv run python bench/all.py

Benchmarks that train or fuzz run first, two at a time, each on one core. Benchmarks that measure
time then run alone, and finally the tables are written. The following take longer and are not run:

    uv run python bench/quality.py --only text-1000s    # 35 minutes per seed
    uv run python bench/research.py                     # an hour
    uv run python bench/research.py --only proposer     # 80 minutes; needs Optuna
    uv run python bench/fuzz.py --seconds 3600          # an hour per parser
    uv run --group dev python bench/mutation.py         # hours
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import report
from harness import BENCH, parsed

TRAINING = (  # the longest benchmarks first
    "quality.py --again", "fuzz.py", "chat_quality.py --again", "ladder.py --again",
    "characters.py", "few_questions.py")  # fmt: skip
TIMING = (
    "train_speed.py --c ../build/c", "decode_speed.py", "startup.py", "compare.py", "c_file.py",
    "--group=onnx --with=llama-cpp-python --with=torch --with=transformers elsewhere.py",
    "search_fight.py", "serve_load.py",
)  # fmt: skip


def main() -> None:
    """Run the benchmarks and write the tables; exit with an error that names each failure."""
    parsed(__doc__)
    cores = sorted(os.sched_getaffinity(0))[:2]

    def take_a_core() -> None:
        os.sched_setaffinity(0, {cores.pop()})  # pins this thread and its child processes

    with ThreadPoolExecutor(len(cores), initializer=take_a_core) as pool:
        failures = [*pool.map(failure, TRAINING)]
    failures += map(failure, TIMING)
    report.main()
    sys.exit("\n".join(filter(None, failures)) or 0)


def failure(script: str) -> str:
    """Run a benchmark and print its duration; return an error message, or "" if it succeeded."""
    started = perf_counter()
    done = subprocess.run(["uv", "run", *script.split()], cwd=BENCH)
    print(f"{script}: {perf_counter() - started:.0f} s", flush=True)
    return f"{script} failed" if done.returncode else ""


if __name__ == "__main__":
    main()
