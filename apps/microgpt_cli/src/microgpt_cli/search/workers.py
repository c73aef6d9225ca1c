"""Create the worker pool of a search or a sweep."""

import sys

from microgpt.config import check_count
from microgpt.errors import ConfigError
from microgpt_evolution.workers.dask import Dask
from microgpt_evolution.workers.pools import Pool, Threads, default_workers

SWITCH_INTERVAL_S = 2e-4


def make_pool(
    workers: int | None, scheduler: str | None, *, n_trials: int, trial_bytes: int
) -> Pool:
    """Return a pool of threads, or of Dask workers if a scheduler is given."""
    if workers is not None:
        check_count("workers", workers)
        if scheduler:
            raise ConfigError(
                "--workers cannot be used with --scheduler, which uses all workers of the "
                "cluster; omit one of them"
            )
    if scheduler:
        return Dask(scheduler)
    # By default, a thread may wait 5 ms for the GIL when a kernel ends. A shorter interval makes
    # two threads 91 % as fast as two processes instead of 86 % (bench/evolution_speed.py).
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return Threads(workers or default_workers(n_trials, trial_bytes))
