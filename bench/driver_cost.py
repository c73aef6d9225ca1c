"""Measure the time and memory that the task driver of the evolution costs per task.

Runs ten thousand empty tasks on threads. Prints the microseconds per task, next to those of a plain
`Executor.map` in the same run, and the peak bytes per task, including results. Waiting tasks should
take no memory.

    uv run python bench/driver_cost.py
"""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from train_speed import machine

from microgpt_evolution.workers.pools import Threads
from microgpt_evolution.workers.retrying_driver import Outcome, evaluate_all

N, N_THREADS, ROUNDS = 10_000, 2, 5


def main() -> None:
    """Measure the driver and `Executor.map`, and print the results."""
    found = seconds_per_task()
    print(f"{machine()}: {N} tasks, {N_THREADS} threads, fastest of {ROUNDS} rounds")
    print(
        f"driver {1e6 * found['driver']:.0f} µs per task, map {1e6 * found['map']:.0f} µs", end=""
    )
    print(f": {found['driver'] / found['map']:.2f} ×")
    print(f"memory per task: driver {grown(with_driver):.0f} B", end="")
    print(f" ({grown(with_outcomes_kept):.0f} B of outcomes), map {grown(with_map):.0f} B")


def seconds_per_task() -> dict[str, float]:
    """Return the seconds per task of the driver and of `Executor.map`, in the fastest round."""
    driver, plain = [], []
    for _ in range(ROUNDS):
        driver.append(seconds(with_driver, N))
        plain.append(seconds(with_map, N))
    return {"driver": min(driver) / N, "map": min(plain) / N}


def with_driver(n: int) -> list:
    with Threads(N_THREADS) as pool:
        return evaluate_all(abs, range(n), pool)


def with_outcomes_kept(n: int) -> list:
    kept = {i: Outcome("done", i) for i in range(n)}
    return [kept[i] for i in range(n)]


def with_map(n: int) -> list:
    with ThreadPoolExecutor(N_THREADS) as executor:
        return list(executor.map(abs, range(n)))


def seconds(run, n: int) -> float:
    started = perf_counter()
    run(n)
    return perf_counter() - started


def grown(run) -> float:
    """Return the additional peak bytes per task if the number of tasks grows tenfold."""
    few, many = peak(run, N // 10), peak(run, N)
    return (many - few) / (N - N // 10)


def peak(run, n: int) -> int:
    tracemalloc.start()
    run(n)
    bytes_ = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return bytes_


if __name__ == "__main__":
    main()
