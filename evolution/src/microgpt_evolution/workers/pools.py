"""Workers that can be replaced: in threads, or in processes of this machine.

This module knows nothing of what the work is; workers elsewhere are in `cluster.py`.
"""

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
from types import TracebackType
from typing import Self

from microgpt.memory_limit import free_bytes


class Pool(ABC):
    """An executor that is built when it is needed, and again after it was closed."""

    def __init__(self) -> None:
        self._executor: Executor | None = None

    def executor(self) -> Executor:
        """Return the executor."""
        if self._executor is None:
            self._executor = self._build()
        return self._executor

    def close(self) -> None:
        """End all workers: at once in processes; in threads, when what they are at is done."""
        executor, self._executor = self._executor, None
        if executor:
            self._end(executor)

    @abstractmethod
    def n_workers(self) -> int:
        """Return how many items are worked on at once."""

    def free_bytes(self) -> int | None:
        """Return the memory that is there for each item at work; None if that is not known."""
        return free_bytes() // self.n_workers()

    def check(self) -> None:  # noqa: B027 - threads and processes come back by themselves
        """Raise an error if nobody is left who could work: asked while nothing comes back."""

    def deaths(self, error: BaseException) -> int:
        """Return how many workers died where work ended so; 0 if the work itself failed."""
        return int(isinstance(error, BrokenExecutor | CancelledError))

    @abstractmethod
    def _build(self) -> Executor: ...

    def _end(self, executor: Executor) -> None:
        executor.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Threads(Pool):
    """Threads of this process: nothing is pickled, and kernels run side by side."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self._n = n

    def n_workers(self) -> int:
        """Return the number of threads."""
        return self._n

    def _build(self) -> Executor:
        return ThreadPoolExecutor(self._n)


class Processes(Pool):
    """Processes of this machine, each with a Python of its own."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self._n = n
        self._lifeline: Connection | None = None

    def n_workers(self) -> int:
        """Return the number of processes."""
        return self._n

    def _build(self) -> Executor:
        context = multiprocessing.get_context("spawn")  # a fork would inherit locks of our threads
        theirs, self._lifeline = context.Pipe(duplex=False)
        return ProcessPoolExecutor(
            self._n, context, initializer=_live_with_parent, initargs=(theirs,)
        )

    def _end(self, executor: Executor) -> None:
        assert self._lifeline
        self._lifeline.close()
        super()._end(executor)


def _live_with_parent(lifeline: Connection) -> None:
    """End this process, whatever it is doing, once the other end of the lifeline is closed.

    That is the case too when the parent is killed: its workers would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle

    def watch() -> None:
        wait([lifeline])
        os._exit(1)

    Thread(target=watch, daemon=True).start()
