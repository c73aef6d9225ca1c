"""Workers on other machines, through a Dask scheduler.

This module knows nothing of what the work is. Dask is loaded when it is first needed.
"""

import logging
import socket
from concurrent.futures import Executor
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from microgpt_evolution.errors import ClusterError
from microgpt_evolution.pools import Pool

if TYPE_CHECKING:
    from distributed import Client

TIMEOUT_S = 5.0
COUNT_EVERY_S = 1.0


class Dask(Pool):
    """The workers of a Dask scheduler, which may come and go."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self._client: Client | None = None
        self._n_workers, self._counted_at = 0, 0.0

    def n_workers(self) -> int:
        """Return how many threads the workers have, at least 1; counted once a second."""
        self.executor()
        assert self._client
        if self._client.status == "running" and monotonic() >= self._counted_at + COUNT_EVERY_S:
            self._counted_at = monotonic()
            with suppress(OSError):  # a connection that is lost shows in what was submitted
                self._n_workers = sum(self._client.nthreads().values())
        return max(self._n_workers, 1)

    def deaths(self, error: BaseException) -> int:
        """Return how many workers died: Dask has tried several by itself before it gives up."""
        from distributed import KilledWorker
        from distributed.client import ClosedClientError
        from distributed.comm.core import CommClosedError

        if isinstance(error, KilledWorker):
            return error.allowed_failures + 1
        return int(isinstance(error, ClosedClientError | CommClosedError)) or super().deaths(error)

    def _build(self) -> Executor:
        try:
            from distributed import Client
        except ImportError as error:
            raise ClusterError(
                "workers on other machines need Dask; pip install 'microgpt-evolution[cluster]'"
            ) from error
        # A connection that is lost is told of by the ClusterError, not by Dask's traceback too.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            _knock(self.address)
            self._client = Client(self.address, timeout=TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"cannot reach a Dask scheduler at {self.address}: {error}; start one with "
                f"`dask scheduler`, and workers with `dask worker {self.address}`"
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=TIMEOUT_S)
        except TimeoutError as error:
            self.close()
            raise ClusterError(
                f"the Dask scheduler at {self.address} has no workers; start one with "
                f"`dask worker {self.address}`"
            ) from error
        executor: Executor = self._client.get_executor(pure=False)  # pure: equal work runs once
        return executor

    def close(self) -> None:
        """Forget what was asked for. Workers live on, and end what they are at."""
        client, self._client, self._executor = self._client, None, None
        self._counted_at = 0.0
        if client:
            client.close()  # also cancels what is pending


def _knock(address: str) -> None:
    """Raise OSError or ValueError unless something like a Dask scheduler answers.

    Dask's client takes the whole time-out for a port where nothing listens, and waits for ever
    for one where something else does. A scheduler speaks first.
    """
    parts = urlsplit(address)
    if not parts.hostname or not parts.port:
        raise ValueError("an address is like tcp://host:8786")
    with socket.create_connection((parts.hostname, parts.port), TIMEOUT_S) as line:
        if parts.scheme == "tcp" and not line.recv(1):
            raise OSError("something else answers there")
