"""A clock that stops while the process is suspended, for example by Ctrl-Z."""

from threading import Lock
from time import perf_counter, process_time

MIN_PAUSE_S = 3.0  # a shorter pause is not detected
BUSY = 0.05  # a running process gets at least this fraction of CPU time, even on a busy machine


class RunningTime:
    """A clock that skips long intervals in which the process used hardly any CPU time."""

    def __init__(self) -> None:
        self._paused, self._last, self._lock = 0.0, (perf_counter(), process_time()), Lock()

    def __call__(self) -> float:
        """Return `perf_counter()` minus the time for which the process was paused, in seconds."""
        with self._lock:  # without the lock, two threads could subtract the same pause twice
            last, self._last = self._last, (perf_counter(), process_time())
            passed, worked = (now - then for now, then in zip(self._last, last, strict=True))
            if passed > MIN_PAUSE_S and worked < BUSY * passed:
                self._paused += passed - worked
            return self._last[0] - self._paused


running_time = RunningTime()
