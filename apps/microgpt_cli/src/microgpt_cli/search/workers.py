"""The workers that searches and sweeps have, as their options ask for them."""

import sys

from microgpt.config import check_count
from microgpt.errors import ConfigError
from microgpt_evolution.workers.dask import Dask
from microgpt_evolution.workers.pools import Pool, Threads

SWITCH_S = 2e-4


def make_pool(workers: int | None, scheduler: str | None) -> Pool:
    """Return the workers, which begin when they are needed.

    Args:
        workers: of this machine; one if None.
        scheduler: the address of a cluster, to have all its workers instead.

    Raises:
        ConfigError: both were asked for, or fewer than one.
    """
    if workers is not None:
        check_count("workers", workers)
        if scheduler:
            raise ConfigError(
                "--workers is for this machine, and with --scheduler all workers of the cluster "
                "are used; leave one of the two out"
            )
    if scheduler:
        return Dask(scheduler)
    # A worker whose kernel has ended waits for the interpreter: 5 ms, unless told otherwise. Two
    # workers reach 0.91 of two processes so, and 0.86 without (bench/evolution_speed.py).
    sys.setswitchinterval(SWITCH_S)
    return Threads(workers or 1)
