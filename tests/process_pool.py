"""Worker processes on this machine, which can be killed as those of a cluster can."""

import multiprocessing
import os
import signal
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.connection import Connection, wait
from threading import Thread

from microgpt_evolution.workers.pools import Pool


class Processes(Pool):
    """A pool of processes, which exit when the parent process exits."""

    def _build(self) -> Executor:
        context = multiprocessing.get_context("spawn")  # fork copies locks held by other threads
        theirs, self._lifeline = context.Pipe(duplex=False)
        return ProcessPoolExecutor(
            self._n, context, initializer=_live_with_parent, initargs=(theirs,)
        )

    def close(self) -> None:
        """Kill the processes."""
        if self._executor:
            self._lifeline.close()
        super().close()


def _live_with_parent(lifeline: Connection) -> None:
    """Exit this process as soon as the parent process closes the pipe or is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C

    def watch() -> None:
        wait([lifeline])
        os._exit(1)

    Thread(target=watch, daemon=True).start()
