"""Measure the duration of searches and the overhead of loss searches.

  search     `microgpt evolve` with evolve-rust's settings on one core: five seeds, whole processes
  budget     searches with `--budget`
  beauty     the same with `--objective aesthetic` and `--objective hydra`
  workers    two workers, compared with one worker and with two processes of one search each
  memory     memory growth over 10,000 evaluations
  driver     time of dispatching an empty task, compared with a plain `map`

Training and scoring is the time in kernels: training steps, losses of held-out documents, and the
names that teachers make up. The rest is overhead: tokenizing, allocating arrays, breeding, fitting
surrogates, writing logs and records. For a whole process, the overhead includes loading Python.
Shares refer to CPU time, because other programs affect it least.

    uv run python bench/evolution_speed.py [--rounds 3]

Prints medians and writes them to bench/results. The "workers" part needs two idle cores.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time, thread_time

import psutil
from harness import parsed, store, timed
from machine import machine
from tables import Rows, of_machines

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.engine import compiled_model as inference
from microgpt.engine.decoding import decoder
from microgpt.engine.training import trainer
from microgpt_cli.main import main as microgpt
from microgpt_evolution.budgeted.run import BudgetedSearch
from microgpt_evolution.objectives.cached_evaluator import CachedEvaluator
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.search.records import Records
from microgpt_evolution.search.runner import Listener, SearchRunner
from microgpt_evolution.search.settings import SearchSettings
from microgpt_evolution.workers.pools import Threads
from microgpt_evolution.workers.retrying_driver import evaluate_all

SEEDS = range(42, 47)
BUDGET = "2e13"  # operations; about two minutes
AT = (1_000, 10_000)  # number of evaluations before each memory measurement
OPTIONS: tuple[str, ...] = ()  # options of each search, for example to shorten it
POPULATION, N_NAMES, STEPS = 100, 600, 50  # memory search, with short training runs
N_TASKS, N_ROUNDS = 10_000, 5  # of the driver
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def main() -> None:
    """Run the benchmarks and write the results."""
    if sys.argv[1:2] == ["--child"]:  # of Search
        work_in_child(*sys.argv[2:])
        return
    options = parsed(__doc__, rounds=3)
    rounds = options.rounds
    found = {
        "machine": machine(all_cores=True),
        "searches": searches(rounds),
        "budget": budget(rounds),
        "beauty": beauty(rounds),
        "workers": workers(rounds),
        "memory": memory(),
        "driver": driver(),
    }
    print(TABLES["evolution_speed"](store("evolution_speed", found, options)))


def work_in_child(objective: str, seed: str, n_workers: str, output: str, *more: str) -> None:
    """Run `microgpt evolve` in this process and write the timings to `output`."""
    seconds = {"kernels": 0.0, "search": 0.0, "search (wall)": 0.0}

    def clocked(work: Callable, name: str, clock: Callable[[], float]) -> Callable:
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

    trainer.take_steps = clocked(trainer.take_steps, "kernels", thread_time)
    inference.evaluate = clocked(inference.evaluate, "kernels", thread_time)
    decoder.Decoder.run = clocked(decoder.Decoder.run, "kernels", thread_time)
    kind = BudgetedSearch if objective == "budget" else SearchRunner
    search = clocked(kind.run, "search", process_time)
    search = clocked(search, "search (wall)", perf_counter)
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
        print(f"seed {seed}: {results[-1]['process']:.2f} s of CPU time", flush=True)
    return results


def budget(rounds: int) -> dict[str, float]:
    """Return the median seconds of searches with a budget on one core."""
    seeds = SEEDS[:rounds]
    return medians([Search(seed, objective="budget", cores=CORES[:1]).seconds() for seed in seeds])


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
        found[objective] = medians(runs)
    return found


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
    return {name: statistics.median(each) for name, each in times.items()}


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

    class Look(Listener):
        def generation_ended(self, run: SearchRunner) -> None:
            if records.n_known >= AT[len(bytes_)]:
                bytes_[records.n_known] = psutil.Process().memory_info().rss
                if len(bytes_) == len(AT):
                    raise StopIteration

    with tempfile.TemporaryDirectory() as folder, Threads(1) as pool:
        settings = SearchSettings(
            objective="loss",
            input="names.txt",
            data_sha256="",
            population=POPULATION,
            generations=AT[-1],
            seed=42,
            fitness="held-out",
        )
        records = Records.begin(Path(folder), "evolve", settings)
        runner = SearchRunner(settings, CachedEvaluator(objective, pool, records), [Look()])
        with contextlib.suppress(StopIteration):
            runner.run()
    (n, first), (more, last) = bytes_.items()
    return {"evaluations": [n, more], "bytes": [first, last]}


def driver() -> dict[str, float]:
    """Return the seconds per empty task with the driver and with a plain `map`."""
    tasks = range(N_TASKS)

    def with_driver() -> None:
        with Threads(2) as pool:
            evaluate_all(abs, tasks, pool)

    def with_map() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(abs, tasks))

    calls = {"driver": with_driver, "map": with_map}
    return {
        name: min(timed(call) for _ in range(N_ROUNDS)) / N_TASKS for name, call in calls.items()
    }


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the runs."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def evolution_rows(evolution: dict) -> Rows:
    """Return the rows on the cost and overhead of searches."""
    names = evolution["searches"][0]
    middle = {name: statistics.median(s[name] for s in evolution["searches"]) for name in names}
    slowest = max(search["process"] for search in evolution["searches"])
    of_search = 1 - middle["kernels of the search"] / middle["search"]
    of_process = 1 - middle["kernels"] / middle["process"]
    one, two, processes = evolution["workers"].values()
    counts, bytes_ = evolution["memory"].values()
    sizes = ", ".join(
        f"{size / 1e6:.0f} MB after {n:,}" for n, size in zip(counts, bytes_, strict=True)
    )
    driver, plain = (1e6 * seconds for seconds in evolution["driver"].values())
    beauty = [
        [f"`--objective {objective}`", f"{seconds['process']:.1f} s"]
        for objective, seconds in evolution["beauty"].items()
    ]
    if budget := evolution.get("budget"):
        rest = 1 - budget["kernels of the search"] / budget["search"]
        beauty.append(
            ["`--budget 2e13`", f"{budget['process']:.0f} s, {rest:.1%} outside training"]
        )
    return [
        ["search, whole command", f"{middle['process']:.1f} s (at most {slowest:.1f} s)"],
        *beauty,
        ["organisms per second", f"{middle['evaluations'] / middle['search']:.0f}"],
        ["share of the search outside training and scoring", f"{of_search:.0%}"],
        ["share of the command outside training and scoring", f"{of_process:.0%}"],
        [
            "two workers",
            f"{one / two:.2f} × as fast as one "
            f"(two searches in two processes: {2 * one / processes:.2f} ×)",
        ],
        ["memory by number of evaluations", sizes],
        ["overhead per task", f"{driver:.0f} µs (a plain `map`: {plain:.0f} µs)"],
    ]


TABLES = {"evolution_speed": of_machines(["", ""], evolution_rows)}

if __name__ == "__main__":
    main()
