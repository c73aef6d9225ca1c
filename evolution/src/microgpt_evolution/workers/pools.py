"""Worker pools of threads or processes on this machine."""

import multiprocessing
import os
import signal
from abc import ABC, abstractmethod
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Self

from microgpt.cpu_limit import n_cpus
from microgpt.memory_limit import free_bytes


class Pool(ABC):
    """Base class of worker pools; the executor is built on first use and rebuilt after `close`."""

    def __init__(self, n: int = 1) -> None:
        self._n = n
        self._executor: Executor | None = None

    def executor(self) -> Executor:
        """Return the executor; build it if necessary."""
        if self._executor is None:
            self._executor = self._build()
        return self._executor

    def close(self) -> None:
        """Stop all workers: processes immediately, threads after the current item."""
        executor, self._executor = self._executor, None
        if executor:
            self._end(executor)

    def n_workers(self) -> int:
        """Return the number of items that can run concurrently."""
        return self._n

    def free_bytes(self) -> int | None:
        """Return the free memory per worker in bytes, or None if unknown."""
        return free_bytes() // self.n_workers()

    def check(self) -> None:  # noqa: B027 - threads and processes need no check
        """Raise an error if no worker is left; called regularly while waiting for results."""

    def deaths(self, error: BaseException) -> int:
        """Return the number of workers that died, or 0 if the work itself raised the error."""
        return int(isinstance(error, BrokenExecutor | CancelledError))

    @abstractmethod
    def _build(self) -> Executor: ...

    def _end(self, executor: Executor) -> None:
        executor.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Threads(Pool):
    """A pool of threads. Work is not pickled, and the kernels release the GIL."""

    def _build(self) -> Executor:
        return ThreadPoolExecutor(self._n)


class Processes(Pool):
    """A pool of processes on this machine. The processes exit when the parent process exits."""

    def _build(self) -> Executor:
        context = multiprocessing.get_context("spawn")  # fork copies locks held by other threads
        theirs, self._lifeline = context.Pipe(duplex=False)
        return ProcessPoolExecutor(
            self._n, context, initializer=_live_with_parent, initargs=(theirs,)
        )

    def _end(self, executor: Executor) -> None:
        self._lifeline.close()
        super()._end(executor)


def default_workers(n_trials: int, trial_bytes: int) -> int:
    """Return the default number of workers: one per CPU, limited by trials and free memory.

    Args:
        n_trials: number of trials that can run concurrently.
        trial_bytes: maximum memory per trial; concurrent trials must fit into the free memory.
    """
    return max(1, min(n_cpus(), n_trials, free_bytes() // trial_bytes))


def _live_with_parent(lifeline: Connection) -> None:
    """Exit this process as soon as the parent process closes the pipe or is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C

    def watch() -> None:
        wait([lifeline])
        os._exit(1)

    Thread(target=watch, daemon=True).start()
