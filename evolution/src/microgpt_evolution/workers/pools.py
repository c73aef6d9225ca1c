"""Worker pools: the base class, and threads; callables that are pickled once for a pool."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Lock
from typing import Any, Generic, Self, TypeVar, cast

from microgpt import checked, n_cpus

Item = TypeVar("Item")
Result = TypeVar("Result")

N_KEPT = 2  # callables cached per process; a worker may serve two searches

_unpickled: dict[str, Callable[[Any], Any]] = {}
_unpickling = Lock()


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

    `workers` is the pool, or the number of threads (default: `default_workers`).
    """
    if isinstance(workers, Pool):
        yield workers
        return
    if workers is not None:
        checked("workers", workers, int)
    with Threads(workers or default_workers(n_trials)) as pool:
        yield pool


class NotUnpickledError(Exception):
    """The contents of a `PickledOnce` are not in the cache of this process."""


@dataclass(frozen=True)
class PickledOnce(Generic[Item, Result]):
    """A callable stored as pickled bytes, so that pickling it again is cheap."""

    sha256: str  # SHA-256 of the contents
    contents: bytes | None

    @classmethod
    def of(cls, work: Callable[[Item], Result]) -> Self:
        """Pickle a callable with all its data."""
        contents = pickle.dumps(work)
        return cls(sha256(contents).hexdigest(), contents)

    def name_only(self) -> Self:
        """Return a copy without the contents, for processes that have already cached them."""
        return replace(self, contents=None)

    def __call__(self, item: Item) -> Result:
        """Call the callable; raise NotUnpickledError if the contents are not available."""
        with _unpickling:
            work = _unpickled.get(self.sha256)
            if work is None:
                if self.contents is None:
                    raise NotUnpickledError
                if len(_unpickled) >= N_KEPT:
                    del _unpickled[next(iter(_unpickled))]
                work = _unpickled[self.sha256] = pickle.loads(self.contents)
        return cast(Callable[[Item], Result], work)(item)
