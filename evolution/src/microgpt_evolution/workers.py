"""Workers that train trials: threads of this process, or the workers of a Dask cluster."""

import logging
import pickle
import socket
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from threading import Event
from time import sleep
from typing import Any
from urllib.parse import urlsplit

from microgpt_evolution.evolution_errors import ClusterError
from microgpt_evolution.objectives.objective import Objective, describe_error, measure
from microgpt_evolution.trial import Evaluation, Trial

POLL_S = 0.1  # interval at which a cluster is polled for results
# must have the same version on all machines
PACKAGES = ("microgpt-lib", "microgpt-engine", "microgpt-evolution")
TIMEOUT_S = 5.0
PATIENCE_S = 30.0  # time to wait for a worker; Dask's nanny restarts workers that died
KILLED = "its worker died"  # start of the reason that is recorded if a trial's workers died

Found = tuple[int, Evaluation]  # the index of a trial, and its evaluation


class Threads(AbstractContextManager["Threads"]):
    """Threads of this process; they run in parallel, because the kernels release the GIL."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __exit__(self, *_: object) -> None:
        pass

    def n_workers(self) -> int:
        """Return the number of threads."""
        return self._n

    def measure(self, objective: Objective, trials: Sequence[Trial]) -> Generator[Found]:
        """Yield the index and the evaluation of each trial when the trial ends.

        If the caller closes the generator early, the trials that are running are stopped.
        """
        stop = Event()

        def work(i: int) -> Found:
            return i, measure(objective, trials[i], stop.is_set)

        executor = ThreadPoolExecutor(self._n)
        try:
            futures = [executor.submit(work, i) for i in range(len(trials))]
            yield from (future.result() for future in as_completed(futures))
        finally:
            stop.set()
            executor.shutdown(cancel_futures=True)


class Dask(AbstractContextManager["Dask"]):
    """The workers of a Dask scheduler; workers can join and leave at any time."""

    def __init__(self, address: str) -> None:
        """Connect to a scheduler; raise ClusterError if it cannot be reached or used."""
        self.address = address
        self._sent: tuple[object, Any] = (None, None)  # last objective; Dask future of its pickle
        try:
            import dask
            from distributed import Client
        except ImportError as error:
            how = "pip install 'microgpt-evolution[cluster]'"
            raise ClusterError(f"workers on other machines require Dask; run: {how}") from error
        # Silence Dask: a large objective is sent only once, and a lost connection raises an error.
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})
        for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with self._reported():
            # Check first that the service sends data: Dask's client would wait for data forever.
            parts = urlsplit(address)
            with socket.create_connection((parts.hostname, parts.port), TIMEOUT_S) as line:
                if parts.scheme == "tcp" and not line.recv(1):
                    raise OSError("the service at this address is not a Dask scheduler")
            self._client = Client(address, timeout=TIMEOUT_S, set_as_default=False)
            self._client.wait_for_workers(1, timeout=TIMEOUT_S)
            _check_versions(self._client.get_versions(packages=PACKAGES))

    def n_workers(self) -> int:
        """Return the number of worker threads, which can be 0 at times."""
        return sum(self._client.nthreads().values())

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def measure(self, objective: Objective, trials: Sequence[Trial]) -> Generator[Found]:
        """Yield the index and the evaluation of each trial when the trial ends."""
        from distributed import as_completed

        # If a worker dies, Dask repeats its tasks, but does not restore scattered data. So a task
        # returns the objective. It is pickled first, because trials change its caches meanwhile.
        client = self._client
        if self._sent[0] is not objective:
            self._sent = objective, client.submit(bytes, pickle.dumps(objective), pure=False)
        sent = [self._sent[1]] * len(trials)
        futures = client.map(_measure_pickled, sent, trials, pure=False)  # gives tasks unique keys
        places = {future.key: i for i, future in enumerate(futures)}
        ended = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)
        suspects = []  # trials whose worker died, perhaps because of another trial
        while places:
            sleep(POLL_S)
            with self._reported():
                if client.status != "running":
                    raise OSError("the connection was lost")
                client.wait_for_workers(1, timeout=PATIENCE_S)
                batch = ended.next_batch(block=False)
                found = [(places.pop(each.key), _evaluation(result)) for each, result in batch]
            for i, evaluation in found:
                if evaluation.reason.startswith(KILLED) and len(trials) > 1:
                    suspects.append(i)
                else:
                    yield i, evaluation
        for i in suspects:  # each is trained alone, so that no other trial can kill its worker
            for _, evaluation in self.measure(objective, [trials[i]]):
                yield i, evaluation

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Convert a connection error to a ClusterError that says how to start a cluster."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"cannot use a Dask scheduler at {self.address}: {str(error) or 'no answer'}; "
                "start one with `dask scheduler`, which prints its address, such as "
                f"tcp://host:8786, and workers with `dask worker {self.address}`"
            ) from error


Workers = Threads | Dask  # connected workers; a `with` statement closes them
_unpickled = lru_cache(maxsize=2)(pickle.loads)  # a worker can serve two studies


def _measure_pickled(pickled: bytes, trial: Trial) -> Evaluation:
    return measure(_unpickled(pickled), trial)


def _evaluation(result: Any) -> Evaluation:
    """Return the evaluation that a Dask future holds, or one that says why the task crashed."""
    if isinstance(result, Evaluation):
        return result
    if isinstance(result, CancelledError):
        raise OSError("the connection was lost") from result
    _, error, _ = result  # a failed task gives the type, value and traceback of its exception
    n_allowed = getattr(error, "allowed_failures", None)  # only KilledWorker has this attribute
    reason = describe_error(error) if n_allowed is None else f"{KILLED} {n_allowed + 1} times"
    return Evaluation("crashed", reason=reason)


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
