"""Workers that train trials: threads of this process, or those of a Dask cluster."""

import logging
import pickle
import socket
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from queue import Empty, SimpleQueue
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from microgpt import checked, n_cpus
from microgpt_evolution.errors import ClusterError, StoppedError
from microgpt_evolution.objectives.objective import Objective, describe_error, measure
from microgpt_evolution.trial import Evaluation, Trial

if TYPE_CHECKING:
    from distributed import Client

POLL_S = 0.1  # interval in seconds between checks of should_stop
PACKAGES = ("microgpt-lib", "microgpt-evolution")  # versions must match on all machines
TIMEOUT_S = 5.0
PATIENCE_S = 30.0  # maximum time without workers; Dask's nanny takes time to restart a worker
KILLED = "its worker died"  # begins the reason of a trial whose workers died


class Workers(ABC):
    """Base class of workers."""

    @abstractmethod
    def n_workers(self) -> int:
        """Return the number of trials that can run concurrently."""

    @abstractmethod
    def close(self) -> None:
        """Cancel the trials that have not begun."""

    def measure(
        self,
        objective: Objective,
        trials: Sequence[Trial],
        should_stop: Event,
        minutes: float | None = None,
    ) -> Generator[tuple[int, Evaluation], None, None]:
        """Yield the index and the evaluation of each trial as it ends.

        Args:
            minutes: time limit of a trial.
            should_stop: event that ends the iteration; it is set if anything else ends it early,
                such as Ctrl-C, and the workers are closed.

        Raises:
            StoppedError: should_stop was set before the last trial ended.
            ClusterError: the cluster cannot be reached.
        """
        finished, n_done = SimpleQueue[tuple[int, Any]](), 0
        try:
            for i, future in enumerate(self._submit(objective, trials, should_stop, minutes)):
                future.add_done_callback(partial(_put, finished, i))
            while n_done < len(trials):
                if should_stop.is_set():
                    raise StoppedError(f"stopped after {n_done} of {len(trials)} training runs")
                try:
                    i, future = finished.get(timeout=POLL_S)
                except Empty:
                    self._check()
                    continue
                if (evaluation := self._result(future)) is None:
                    future.add_done_callback(partial(_put, finished, i))
                    self._check()
                    continue
                n_done += 1
                yield i, evaluation
        except BaseException:
            should_stop.set()
            self.close()
            raise

    @abstractmethod
    def _submit(
        self, objective: Objective, trials: Sequence[Trial], stop: Event, minutes: float | None
    ) -> Iterable[Any]:
        """Return futures, of `concurrent.futures` or Dask, of the evaluations of the trials."""

    def _check(self) -> None:  # noqa: B027 - threads need no check
        """Raise ClusterError if no worker is left; called while no trial ends."""

    def _result(self, future: Any) -> Evaluation | None:
        """Return the result of a future that has ended, or None if it is computed again."""
        found: Evaluation = future.result()
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Threads(Workers):
    """Threads of this process: trials are not pickled, and the kernels release the GIL."""

    def __init__(self, n: int) -> None:
        self._n, self._executor = n, ThreadPoolExecutor(n)

    def n_workers(self) -> int:
        """Return the number of threads."""
        return self._n

    def close(self) -> None:
        """Cancel the trials that have not begun, and wait for the others."""
        self._executor.shutdown(cancel_futures=True)
        self._executor = ThreadPoolExecutor(self._n)

    def _submit(
        self, objective: Objective, trials: Sequence[Trial], stop: Event, minutes: float | None
    ) -> Iterable[Any]:
        work = partial(measure, objective, minutes=minutes, should_stop=stop.is_set)
        return [self._executor.submit(work, trial) for trial in trials]


class Dask(Workers):
    """The workers of a Dask scheduler, which may join and leave; Dask is imported on first use."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client: Client | None = None
        self._sent: tuple[object, Any] = (None, None)  # an objective, and the future of its pickle
        self._had_workers_at = 0.0

    def n_workers(self) -> int:
        """Return the number of worker threads, which may be 0 for a moment."""
        return sum(self._connected().nthreads().values())

    def close(self) -> None:
        """Cancel pending trials. Workers keep running and finish their current trials."""
        client, self._client, self._sent = self._client, None, (None, None)
        if client:
            client.close()

    def measure(
        self,
        objective: Objective,
        trials: Sequence[Trial],
        should_stop: Event,
        minutes: float | None = None,
    ) -> Generator[tuple[int, Evaluation], None, None]:
        """Yield evaluations; a trial whose workers died is tried again alone.

        Dask tries several workers, but a trial may have died with one that kills its worker.
        """
        killed = []
        for i, evaluation in super().measure(objective, trials, should_stop, minutes):
            if evaluation.reason.startswith(KILLED):
                killed.append(i)
            else:
                yield i, evaluation
        for i in killed:
            for _, evaluation in super().measure(objective, [trials[i]], should_stop, minutes):
                yield i, evaluation

    def _submit(
        self, objective: Objective, trials: Sequence[Trial], stop: Event, minutes: float | None
    ) -> Iterable[Any]:
        client = self._connected()
        if self._sent[0] is not objective:  # a task, unlike scattered data, survives its worker
            self._sent = objective, client.submit(bytes, pickle.dumps(objective), pure=False)
        work = partial(_measure_pickled, minutes=minutes)
        return client.map(work, [self._sent[1]] * len(trials), trials, pure=False)

    def _check(self) -> None:
        if self._connected().status != "running":
            raise self._error("the connection was lost")
        if self.n_workers():
            self._had_workers_at = monotonic()
        elif monotonic() > self._had_workers_at + PATIENCE_S:
            raise self._error("it has no workers left")

    def _result(self, future: Any) -> Evaluation | None:
        from distributed import KilledWorker

        try:
            found: Evaluation = future.result(timeout=PATIENCE_S)
            return found
        except KilledWorker as error:
            return Evaluation("crashed", reason=f"{KILLED} {error.allowed_failures + 1} times")
        except TimeoutError:  # the worker that had the result has died
            return None
        except (CancelledError, OSError) as error:
            raise self._error("the connection was lost") from error
        except Exception as error:  # a worker cannot import the objective
            return Evaluation("crashed", reason=describe_error(error))

    def _connected(self) -> "Client":
        if self._client:
            return self._client
        try:
            import dask
            from distributed import Client
        except ImportError as error:
            raise ClusterError(
                "workers on other machines require Dask; "
                "run: pip install 'microgpt-evolution[cluster]'"
            ) from error
        # ClusterError reports lost connections, so silence the tracebacks that Dask and its event
        # loop log. Disable the graph-size warning, because an objective is sent only once.
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})
        for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            _check_scheduler(self.address)
            self._client = client = Client(self.address, timeout=TIMEOUT_S, set_as_default=False)
            client.wait_for_workers(1, timeout=TIMEOUT_S)
            _check_versions(client.get_versions(packages=PACKAGES))
        except TimeoutError as error:
            raise self._error(str(error) or "no answer") from error
        except (OSError, ValueError) as error:
            raise self._error(error) from error
        self._had_workers_at = monotonic()
        return client

    def _error(self, problem: object) -> ClusterError:
        return ClusterError(
            f"cannot use a Dask scheduler at {self.address}: {problem}; start one with "
            f"`dask scheduler`, and workers with `dask worker {self.address}`"
        )


def workers_of(workers: int | Workers | None) -> AbstractContextManager[Workers]:
    """Return a context of workers: the given ones, which stay open, or a number of new threads."""
    if isinstance(workers, Workers):
        return nullcontext(workers)
    return Threads(n_cpus() if workers is None else checked("workers", workers, int))


_unpickled = lru_cache(maxsize=2)(pickle.loads)  # a worker may serve two studies


def _measure_pickled(pickled: bytes, trial: Trial, minutes: float | None) -> Evaluation:
    return measure(_unpickled(pickled), trial, minutes)


def _put(queue: SimpleQueue[tuple[int, Any]], i: int, future: Any) -> None:
    queue.put((i, future))


def _check_versions(versions: Any) -> None:
    """Raise ClusterError if package versions differ, because losses would differ too."""
    ours = versions["client"]["packages"]
    for who, facts in {"the scheduler": versions["scheduler"], **versions["workers"]}.items():
        for name in PACKAGES:
            if (theirs := facts["packages"][name]) != ours[name]:
                raise ClusterError(
                    f"{who} has {name} {theirs or 'missing'}, but this machine has {ours[name]}; "
                    "install the same version on all machines"
                )


def _check_scheduler(address: str) -> None:
    """Raise OSError or ValueError if no Dask scheduler answers at the address.

    Dask's client waits for the whole timeout if the port is closed, and forever if another service
    listens on the port. Unlike most services, a Dask scheduler sends data before the client does.
    """
    parts = urlsplit(address)
    if not parts.hostname or not parts.port:
        raise ValueError("the address must have the form tcp://host:port")
    with socket.create_connection((parts.hostname, parts.port), TIMEOUT_S) as line:
        if parts.scheme == "tcp" and not line.recv(1):
            raise OSError("the service at this address is not a Dask scheduler")
