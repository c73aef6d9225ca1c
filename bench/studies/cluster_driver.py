"""How many workers can one driver of searches and sweeps keep busy?

As many as complete 500 to 900 trainings per second together: a thousand workers if a training
takes two seconds (docs/measurements/scale.md).

    uv run python bench/study.py cluster_driver [--most 1000]

A real Dask scheduler in its own process, the real driver in this one, and simulated workers: real
Dask workers, but many in one process, which return a ready evaluation instead of training. So the
cost of a task to the driver and the scheduler is measured, and the number of workers is simulated.
On a cluster, the driver and the scheduler each have a core, and the workers have their own. The
limit is therefore one divided by the CPU time per task of the busier of the two.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, sleep

import psutil
from harness import BENCH
from machine import machine
from tables import Rows, of_machines

from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.workers.dask import Dask
from microgpt_evolution.workers.pools import PickledOnce
from microgpt_evolution.workers.retrying_driver import evaluate_all

OPTIONS = {"most": 1000, "address": str, "count": int}  # the last two for child processes only
COUNTS = (1, 10, 100, 1000)  # of workers
N_TASKS = 3000  # at least; each worker gets some
PER_PROCESS = 500  # simulated workers in a process
IDLE = {  # what a worker observes in itself, which would keep a core busy for hundreds of them
    "distributed.admin.system-monitor.interval": "1h",
    "distributed.admin.tick.interval": "1h",
    "distributed.worker.memory.monitor-interval": "1h",
    "distributed.worker.profile.enabled": False,
}
DATA = bytes(240_000)  # as many as the names need
FOUND = Evaluation("ok", 2.31, 2.5, 2.31, ("emma", "olivia", "ava"), train_loss=2.3, seconds=1.0)


def measure(options: Namespace) -> dict | None:
    """Measure the cost of a task with each number of workers."""
    if options.address:
        asyncio.run(work(options.address, options.count))
        return None
    rows = []
    for n in COUNTS:
        if n <= options.most:
            rows.append({"workers": n, **cost(n)})
            print(rows[-1], flush=True)
    return {"machine": f"{machine(all_cores=True)}", "rows": rows}


def evaluated(data: bytes, trial: Trial[SweepConfig]) -> Evaluation:
    """Stand in for a training run."""
    return FOUND


def cost(n: int) -> dict[str, float]:
    """Return the CPU time, bytes and memory that tasks cost the driver and the scheduler."""
    n_tasks = max(N_TASKS, 6 * n)
    trials = [Trial(SweepConfig(), seed) for seed in range(n_tasks)]
    run = partial(evaluate_all, PickledOnce.of(partial(evaluated, DATA)))
    with cluster(n) as (address, scheduler), Dask(address) as pool:
        run(trials[: 2 * n], pool)  # sends the data to each process, once
        driver = psutil.Process()
        before = [cpu_s(each) for each in (driver, scheduler)]
        started = perf_counter()
        with counted() as sizes:
            run(trials, pool)
        wall_s = perf_counter() - started
        after = [cpu_s(each) for each in (driver, scheduler)]
        driver_s, scheduler_s = ((b - a) / n_tasks for a, b in zip(before, after, strict=True))
        return {
            "tasks": n_tasks,
            "wall_s": wall_s / n_tasks,
            "driver_s": driver_s,
            "scheduler_s": scheduler_s,
            "bytes": sum(sizes) / n_tasks,
            "driver_bytes": driver.memory_info().rss,
            "scheduler_bytes": scheduler.memory_info().rss,
        }


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def counted() -> Iterator[list[int]]:
    """Yield a list that receives the number of bytes of each message of the driver."""
    from distributed.comm.tcp import TCP

    write, sizes = TCP.write, list[int]()

    async def counting(comm: TCP, *message: object, **options: object) -> int:
        sizes.append(await write(comm, *message, **options))
        return sizes[-1]

    TCP.write = counting
    yield sizes
    TCP.write = write


@contextmanager
def cluster(n: int) -> Iterator[tuple[str, psutil.Process]]:
    """Start a scheduler and n simulated workers; yield the scheduler's address and process."""
    with tempfile.TemporaryDirectory() as folder:
        facts = Path(folder, "scheduler.json")
        command = ["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
        scheduler = child([*command, "--no-dashboard", "--scheduler-file", str(facts)], folder)
        started = [scheduler]
        try:
            while not facts.exists():
                sleep(0.1)
            address = json.loads(facts.read_text())["address"]
            for first in range(0, n, PER_PROCESS):
                count = min(PER_PROCESS, n - first)
                work = ["study.py", "cluster_driver", "--address", address, "--count", str(count)]
                started.append(child([str(BENCH / work[0]), *work[1:]], folder))
            while len(list(Path(folder).glob("*.ready"))) < len(started) - 1:
                sleep(0.1)
            yield address, psutil.Process(scheduler.pid)
        finally:
            for each in reversed(started):
                each.kill()
                each.wait()


def child(arguments: list[str], folder: str) -> subprocess.Popen:
    """Start a Python process that prints nothing."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, **quiet)


async def work(address: str, count: int) -> None:
    """Run simulated workers until the process is killed."""
    import dask
    from distributed import Worker

    dask.config.set(IDLE)
    workers = [Worker(address, nthreads=1, dashboard=False) for _ in range(count)]
    await asyncio.gather(*workers)
    Path(f"{os.getpid()}.ready").touch()
    await asyncio.gather(*(worker.finished() for worker in workers))


def cluster_rows(found: dict) -> Rows:
    """Return a row for each number of workers."""
    rows = []
    for row in found["rows"]:
        slower = max(row["driver_s"], row["scheduler_s"])
        rows.append(
            [
                f"{row['workers']:,}",
                f"{1e3 * row['driver_s']:.2f} ms",
                f"{1e3 * row['scheduler_s']:.2f} ms",
                f"{row['bytes'] / 1e3:.1f} kB",
                f"{row['driver_bytes'] / 1e6:.0f} MB",
                f"{row['scheduler_bytes'] / 1e6:.0f} MB",
                f"{1 / slower:,.0f}",
                f"{row['workers'] * slower:.2g} s",
            ]
        )
    return rows


HEAD = ["workers", "driver, CPU per task", "scheduler, CPU per task", "driver sends per task"]
HEAD += ["driver, memory", "scheduler, memory", "tasks per second", "shortest useful task"]
TABLES = {"cluster_driver": of_machines(HEAD, cluster_rows)}
