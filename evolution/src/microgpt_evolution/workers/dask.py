"""Worker pool on a Dask cluster; Dask is imported on first use."""

import logging
import pickle
import socket
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from microgpt_evolution.errors import ClusterError
from microgpt_evolution.workers.pools import Pool

if TYPE_CHECKING:
    from distributed import Client
    from distributed import Future as Remote

P = ParamSpec("P")
T = TypeVar("T")

PACKAGES = ("microgpt-lib", "microgpt-evolution")  # versions must match on all machines
TIMEOUT_S = 5.0
COUNT_EVERY_S = 1.0
PATIENCE_S = 30.0  # maximum time without workers; Dask's nanny takes time to restart a worker


class Dask(Pool):
    """A pool of the workers of a Dask scheduler; workers may join and leave at any time."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self._client: Client | None = None
        self._n_workers, self._counted_at = 0, 0.0
        self._had_workers_at = 0.0

    def n_workers(self) -> int:
        """Return the number of worker threads (at least 1), refreshed at most once per second."""
        self.executor()
        assert self._client
        if self._client.status == "running" and monotonic() >= self._counted_at + COUNT_EVERY_S:
            self._counted_at = monotonic()
            with suppress(OSError):  # the futures report a lost connection
                self._n_workers = sum(self._client.nthreads().values())
        if self._n_workers:
            self._had_workers_at = monotonic()
        return max(self._n_workers, 1)

    def check(self) -> None:
        """Raise ClusterError after 30 s without workers."""
        self.n_workers()
        if monotonic() > self._had_workers_at + PATIENCE_S:
            raise self._no_workers()

    def deaths(self, error: BaseException) -> int:
        """Return the number of workers that died; Dask tries several workers before it fails."""
        from distributed import KilledWorker
        from distributed.client import ClosedClientError
        from distributed.comm.core import CommClosedError

        if isinstance(error, KilledWorker):
            return error.allowed_failures + 1
        return int(isinstance(error, ClosedClientError | CommClosedError)) or super().deaths(error)

    def _build(self) -> Executor:
        try:
            import dask
            from distributed import Client
        except ImportError as error:
            raise ClusterError(
                "workers on other machines require Dask; "
                "run: pip install 'microgpt-evolution[cluster]'"
            ) from error
        # ClusterError reports lost connections, so silence the tracebacks that Dask and its event
        # loop log. Disable the graph-size warning, because large callables are sent only once.
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})
        for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            _check_scheduler(self.address)
            self._client = Client(self.address, timeout=TIMEOUT_S, set_as_default=False)
            timeout = PATIENCE_S if self._had_workers_at else TIMEOUT_S
            try:
                self._client.wait_for_workers(1, timeout=timeout)
            except TimeoutError as error:
                raise self._no_workers() from error
            self._had_workers_at = monotonic()
            _check_versions(self._client.get_versions(packages=PACKAGES))
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"cannot reach a Dask scheduler at {self.address}: {error}; start one with "
                f"`dask scheduler`, and workers with `dask worker {self.address}`"
            ) from error
        return _DaskExecutor(self._client)

    def _no_workers(self) -> ClusterError:
        return ClusterError(
            f"the Dask scheduler at {self.address} has no workers"
            f"{' left' if self._had_workers_at else ''}; start one with "
            f"`dask worker {self.address}`"
        )

    def close(self) -> None:
        """Cancel pending tasks. Workers keep running and finish their current tasks."""
        client, self._client, self._executor = self._client, None, None
        self._counted_at = 0.0
        if client:
            client.close()


class _DaskExecutor(Executor):
    """Executor like `Client.get_executor(pure=False)`, except that every future completes.

    A future of Dask's executor never completes if its result cannot be fetched or unpickled.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._sent: dict[Callable[..., Any], Remote[bytes]] = {}  # the last function

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit work. The function is pickled and sent once; the workers keep it."""
        if fn not in self._sent:
            work = pickle.dumps(fn)
            try:
                self._sent = {fn: self._client.scatter(work, hash=False, broadcast=True)}
            except TimeoutError as error:  # there are no workers; the pool waits for some
                raise CancelledError(str(error)) from error
        remote = self._client.submit(  # pure=True merges equal tasks
            _pickled_result, self._sent[fn], *args, **kwargs, pure=False
        )
        future: Future[T] = Future()
        assert self._client.loop
        self._client.loop.add_callback(self._fetch, remote, future)
        return future

    async def _fetch(self, remote: "Remote[bytes]", future: Future[T]) -> None:
        import asyncio  # slow to import, and Dask has imported it

        try:
            (result,) = await self._client.gather([remote], asynchronous=True)
            future.set_result(pickle.loads(result))
        except asyncio.CancelledError as error:
            future.set_exception(CancelledError(str(error)))
        except BaseException as error:
            future.set_exception(error)


_unpickled = lru_cache(maxsize=2)(pickle.loads)  # a worker may serve two searches


def _pickled_result(work: bytes, /, *args: Any, **kwargs: Any) -> bytes:
    """Return the pickled result of pickled work.

    Pickling it here protects other results, which fail if Dask cannot deserialise this result.
    """
    return pickle.dumps(_unpickled(work)(*args, **kwargs))


def _check_versions(versions: Any) -> None:
    """Raise ClusterError if package versions differ, because losses would differ too."""
    ours = versions["client"]["packages"]
    peers = {f"the worker {address}": facts for address, facts in versions["workers"].items()}
    for who, facts in {"the scheduler": versions["scheduler"], **peers}.items():
        for name in PACKAGES:
            theirs = facts["packages"][name]
            if theirs != ours[name]:
                has = f"{name} {theirs}" if theirs else f"no {name}"
                raise ClusterError(
                    f"{who} has {has}, but this machine has {name} {ours[name]}; install the same "
                    "version on all machines"
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
