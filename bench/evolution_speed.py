"""Measure the duration of searches and the overhead of loss searches.

  search     `microgpt evolve` with evolve-rust's settings on one core: five seeds, whole processes
  budget     searches with `--budget`
  beauty     the same with `--objective aesthetic` and `--objective hydra`
  workers    two workers, compared with one worker and with two processes of one search each
  memory     memory growth over 10,000 evaluations
  driver     cost of dispatching a task (bench/driver_cost.py)

Training and scoring is the time in kernels: training steps, losses of held-out documents, and the
names that teachers make up. The rest is overhead: tokenizing, allocating arrays, breeding, fitting
surrogates, writing logs and records. For a whole process, the overhead includes loading Python.
Shares refer to CPU time, because other programs affect it least.

    uv run python bench/evolution_speed.py [--rounds 3]

Prints medians and writes them to bench/results. The "workers" part needs two idle cores.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import perf_counter, process_time, thread_time

import driver_cost
import psutil
from train_speed import machine, results_file

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.engine import compiled_model as inference
from microgpt.engine.decoding import decoder
from microgpt.engine.training import trainer
from microgpt_cli.main import main as microgpt
from microgpt_evolution.budgeted.run import BudgetedSearch
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.runs.records import Records
from microgpt_evolution.search.runner import RUNNERS, Listeners, LossRunner, SearchRunner
from microgpt_evolution.search.settings import SearchSettings
from microgpt_evolution.workers.pools import Threads

SEEDS = range(42, 47)
BUDGET = "2e13"  # operations; about two minutes
AT = (1_000, 10_000)  # number of evaluations before each memory measurement
OPTIONS: tuple[str, ...] = ()  # options of each search, for example to shorten it
POPULATION, N_NAMES, STEPS = 100, 600, 50  # memory search, with short training runs
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def main() -> None:
    """Run the benchmarks and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)  # internal
    arguments = parser.parse_args()
    if arguments.child:
        work_in_child(*arguments.child)
        return
    facts = machine(all_cores=True)
    print(facts)
    kept = {
        "machine": facts,
        "date": str(date.today()),
        "searches": searches(arguments.rounds),
        "budget": budget(arguments.rounds),
        "beauty": beauty(arguments.rounds),
        "workers": workers(arguments.rounds),
        "memory": memory(),
        "driver": driver(),
    }
    results_file("evolution_speed").write_text(json.dumps(kept, indent=1) + "\n")


def work_in_child(objective: str, seed: str, n_workers: str, output: str, *more: str) -> None:
    """Run `microgpt evolve` in this process and write the timings to `output`."""
    seconds = {"kernels": 0.0, "search": 0.0, "search (wall)": 0.0}

    def timed(work: Callable, name: str, clock: Callable[[], float]) -> Callable:
        def run(*args: object, **options: object) -> object:
            started = clock()
            try:
                return work(*args, **options)
            finally:
                seconds[name] += clock() - started

        return run

    def searched(runner: SearchRunner | BudgetedSearch, *minutes: float | None) -> object:
        winner = search(runner, *minutes)
        is_budgeted = isinstance(runner, BudgetedSearch)
        seconds["kernels of the search"] = seconds["kernels"]
        seconds["evaluations"] = (
            len(runner.organisms) if is_budgeted else runner.evaluator.records.n_known
        )
        return winner

    trainer.take_steps = timed(trainer.take_steps, "kernels", thread_time)
    inference.evaluate = timed(inference.evaluate, "kernels", thread_time)
    decoder.Decoder.run = timed(decoder.Decoder.run, "kernels", thread_time)
    kind = BudgetedSearch if objective == "budget" else RUNNERS[objective]
    search = timed(kind.run, "search", process_time)
    search = timed(search, "search (wall)", perf_counter)
    kind.run = searched
    what = [] if objective == "budget" else ["--objective", objective]
    options = [*what, "--data", str(bundled("names.txt")),
               "--seed", seed, "--workers", n_workers, *more]  # fmt: skip
    sys.argv = ["microgpt", "evolve", *options]
    try:
        microgpt()
    finally:
        Path(output).write_text(json.dumps({**seconds, "process": process_time()}))


class Search:
    """A process that runs `microgpt evolve` in its own directory."""

    def __init__(
        self, seed: int, *, objective: str = "loss", n_workers: int = 1, cores: list[int]
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._output = Path(self._folder.name, "seconds.json")
        if cores:
            os.sched_setaffinity(0, cores)  # the child process inherits the affinity
        self._started = perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--child", objective, str(seed), str(n_workers),
             str(self._output), *(["--budget", BUDGET] if objective == "budget" else OPTIONS)],
            cwd=self._folder.name,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if cores:
            os.sched_setaffinity(0, CORES)

    def seconds(self) -> dict[str, float]:
        """Wait for the process and return its timings."""
        if self._process.wait():
            raise SystemExit("microgpt evolve failed")
        wall = perf_counter() - self._started
        found = {**json.loads(self._output.read_text()), "process (wall)": wall}
        self._folder.cleanup()
        return found


def searches(rounds: int) -> list[dict[str, float]]:
    """Return the seconds of a search with each seed on one core."""
    Search(SEEDS[0], cores=CORES[:1]).seconds()  # warm-up, including compilation
    results = []
    for seed in SEEDS:
        runs = [Search(seed, cores=CORES[:1]).seconds() for _ in range(rounds)]
        results.append({"seed": seed, **medians(runs)})
        print(f"seed {seed}: {described(results[-1])}", flush=True)
    middle = medians(results)
    print(f"median of {len(SEEDS)} seeds: {described(middle)}")
    ratio = middle["process"] / middle["kernels"]
    print(f"{ratio:.2f} × the time of training and scoring alone")
    return results


def budget(rounds: int) -> dict[str, float]:
    """Return the median seconds of searches with a budget on one core."""
    seeds = SEEDS[:rounds]
    found = medians([Search(seed, objective="budget", cores=CORES[:1]).seconds() for seed in seeds])
    print(f"--budget {BUDGET}: {described(found)}", flush=True)
    return found


def beauty(rounds: int) -> dict[str, dict[str, float]]:
    """Return the median seconds over all seeds of aesthetic and Hydra searches on one core."""
    found = {}
    for objective in ("aesthetic", "hydra"):
        Search(SEEDS[0], objective=objective, cores=CORES[:1]).seconds()  # warm-up
        runs = [
            Search(seed, objective=objective, cores=CORES[:1]).seconds()
            for seed in SEEDS
            for _ in range(rounds)
        ]
        seconds = found[objective] = medians(runs)
        print(
            f"{objective}: {seconds['process (wall)']:.2f} s, {seconds['process']:.2f} s of CPU "
            f"time (at most {max(run['process'] for run in runs):.2f} s); "
            f"{seconds['evaluations'] / seconds['search']:.0f} organisms/s",
            flush=True,
        )
    return found


def described(seconds: dict[str, float]) -> str:
    """Format the timings of a search on one line."""
    of_search, of_process = overheads(seconds)
    return (
        f"{seconds['process (wall)']:.2f} s, {seconds['process']:.2f} s of CPU time, "
        f"{seconds['evaluations'] / seconds['search']:.0f} organisms/s; outside training and "
        f"scoring: {of_search:.1%} of the search, {of_process:.1%} of the process"
    )


def overheads(seconds: dict[str, float]) -> tuple[float, float]:
    """Return the shares of time outside the kernels, for the search and for the process."""
    return (
        1 - seconds["kernels of the search"] / seconds["search"],
        1 - seconds["kernels"] / seconds["process"],
    )


def workers(rounds: int) -> dict[str, float]:
    """Return the seconds of a search with one worker, two workers, and two concurrent processes.

    Only the search itself is timed, not the start and exit of the process.
    """
    times: dict[str, list[float]] = {"one worker": [], "two workers": [], "two processes": []}
    for _ in range(rounds):
        for seed in SEEDS:
            one = Search(seed, cores=CORES[:1]).seconds()
            two = Search(seed, n_workers=2, cores=CORES[:2]).seconds()
            both = [Search(seed, cores=[core]) for core in CORES[:2]]
            times["one worker"].append(one["search (wall)"])
            times["two workers"].append(two["search (wall)"])
            times["two processes"].append(max(each.seconds()["search (wall)"] for each in both))
    found = {name: statistics.median(each) for name, each in times.items()}
    gain = found["one worker"] / found["two workers"]
    print(
        f"two workers: {gain:.2f} × as fast as one ({found['two workers']:.2f} s, "
        f"{found['one worker']:.2f} s); {found['two processes'] / found['two workers'] / 2:.2f} × "
        "the speed-up of two processes",
        flush=True,
    )
    return found


class BriefObjective(LossObjective):
    """A loss objective that trains every genome for only a few steps."""

    def measure(self, genome, seed, should_stop=None):
        """Train and evaluate an organism for STEPS steps."""
        return super().measure(replace(genome, steps=STEPS), seed, should_stop)


def memory() -> dict[str, float]:
    """Return the memory of this process, in bytes, after each number of evaluations in AT."""
    names = load_text(bundled("names.txt"))[:N_NAMES]
    objective = BriefObjective.of(split(names, validation=0.1, test=0.1), "held-out")
    bytes_: dict[int, int] = {}

    def look(line: str) -> None:
        if line.startswith("---") and records.n_known >= AT[len(bytes_)]:
            bytes_[records.n_known] = psutil.Process().memory_info().rss
            if len(bytes_) == len(AT):
                raise StopIteration

    with tempfile.TemporaryDirectory() as folder, Threads(1) as pool:
        records = Records.begin(Path(folder), "evolve", {})
        settings = SearchSettings(
            objective="loss",
            input="names.txt",
            data_sha256="",
            population=POPULATION,
            generations=AT[-1],
            seed=42,
            fitness="held-out",
        )
        runner = LossRunner(
            settings, CachedEvaluator(objective, pool, records), Listeners(log=look)
        )
        with contextlib.suppress(StopIteration):
            runner.run()
    (n, first), (more, last) = bytes_.items()
    print(
        f"memory: {first / 1e6:.1f} MB after {n} evaluations, {last / 1e6:.1f} MB after {more}: "
        f"{last / first:.3f} ×, {(last - first) / (more - n):.0f} B per evaluation"
    )
    return {"evaluations": [n, more], "bytes": [first, last]}


def driver() -> dict[str, float]:
    """Return the seconds per empty task with the driver and with a plain `map`."""
    found = driver_cost.seconds_per_task()
    print(
        f"driver: {1e6 * found['driver']:.0f} µs per task, map {1e6 * found['map']:.0f} µs: "
        f"{found['driver'] / found['map']:.2f} ×"
    )
    return found


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the runs."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


if __name__ == "__main__":
    main()
