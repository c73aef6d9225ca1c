"""The pace of a search with a time limit: how many operations still fit into the time.

Only the resulting cuts are recorded (`TimeCut`), so resuming a search does not depend on the time.
"""

from collections import deque
from statistics import median

from microgpt import TimeLimit

TOLERANCE = 0.03  # a search may end later by this fraction of its time
WINDOW = 0.1  # the operations per second of all workers are measured over this fraction of the time
N_MEASURED = 8  # number of evaluations over which the speed of a worker is measured


class SearchPace:
    """Measures the speed of the workers, and of the whole search."""

    def __init__(self, limit: TimeLimit, speed: float, student_s: float) -> None:
        """Start measuring.

        Args:
            speed: operations per second of a worker, as measured before the search.
            student_s: seconds to reserve for the student.
        """
        self._clock = limit.clock
        self._end = limit.end - student_s + TOLERANCE * limit.seconds
        self._window = WINDOW * limit.seconds
        self._speeds = deque([speed], maxlen=N_MEASURED)
        self._starts = list[tuple[float, float]]()  # time and operations when a generation begins
        self.has_measured = False

    def begin_generation(self, spent: float) -> None:
        """Record that a generation begins after `spent` operations of the search."""
        self._starts.append((self._clock(), spent))

    def evaluated(self, operations: float, seconds: float) -> None:
        """Record the speed of a worker between two evaluations of a training run."""
        self._speeds.append(operations / max(seconds, 1e-9))
        self.has_measured = True

    def seconds_left(self) -> float:
        """Return the number of seconds within which the training runs must end."""
        return self._end - self._clock()

    def longest(self) -> float:
        """Return the largest number of operations that one worker can finish in time."""
        return max(0.0, self.seconds_left()) * median(self._speeds)

    def left(self, spent: float) -> float:
        """Return the number of operations that all workers can finish in time."""
        now = self._clock()
        long_ago = [start for start in self._starts if start[0] <= now - self._window]
        then, spent_then = (long_ago or self._starts)[-1 if long_ago else 0]
        return max(0.0, self._end - now) * (spent - spent_then) / max(now - then, 1e-9)
