"""Worker pools: the base class, and threads."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Self

from microgpt import checked, n_cpus


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
        """Stop all workers; threads end after the current item."""
        executor, self._executor = self._executor, None
        if executor:
            executor.shutdown(cancel_futures=True)

    def n_workers(self) -> int:
        """Return the number of items that can run concurrently."""
        return self._n

    def check(self) -> None:  # noqa: B027 - threads need no check
        """Raise an error if no worker is left; called regularly while waiting for results."""

    def deaths(self, error: BaseException) -> int:
        """Return the number of workers that died, or 0 if the work itself raised the error."""
        return int(isinstance(error, BrokenExecutor | CancelledError))

    @abstractmethod
    def _build(self) -> Executor: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Threads(Pool):
    """A pool of threads. Work is not pickled, and the kernels release the GIL."""

    def _build(self) -> Executor:
        return ThreadPoolExecutor(self._n)


def default_workers(n_trials: int) -> int:
    """Return the default number of workers: one per CPU, but at most one per trial."""
    return max(1, min(n_cpus(), n_trials))


@contextmanager
def pool_of(workers: int | Pool | None, n_trials: int) -> Iterator[Pool]:
    """Yield the given pool and leave it open, or yield a pool of new threads and close it.

    `workers` is the pool, or the number of threads (default: one per CPU, at most one per trial).
    """
    if isinstance(workers, Pool):
        yield workers
        return
    if workers is not None:
        checked("workers", workers, int)
    with Threads(workers or default_workers(n_trials)) as pool:
        yield pool
