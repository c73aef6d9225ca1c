"""Sequential test: whether a change lowers the loss, given paired differences, one per seed.

docs/reference/searches.md derives the error and states the power.
"""

import functools
import math
from collections.abc import Sequence

# After so many pairs, the change passes if its p-value is at most the first number, which
# together are the error of the search; it is rejected if its p-value is above the second.
LOOKS = {5: (1 / 32, 0.5), 10: (0.009375, 0.25), 20: (0.009375, 0.009375)}
N_CONFIRMED, CONFIRM_ERROR = 16, 0.02  # number of pairs with fresh seeds, and their error
ERROR = sum(error for error, _ in LOOKS.values()) * CONFIRM_ERROR  # of a verdict: 0.001
CLEAR_EFFECT = 1.05  # nine of ten gains of so many standard deviations of a pair are kept

SEARCH, CONFIRM = "search", "confirm"  # the next pair belongs to this part
KEPT, REJECTED, UNCONFIRMED = "kept", "not better", "not confirmed"


def p_value(gains: Sequence[float]) -> float:
    """Return the one-sided p-value of Wilcoxon's signed-rank test, which is exact.

    It is the probability of ranks as high as those of the positive gains, if each gain could as
    well have the other sign. Of equal gains, those that are positive get the lower ranks, and a
    gain of 0 counts as a loss, so that the p-value is never too low.
    """
    order = sorted(gains, key=lambda gain: (abs(gain), gain <= 0))
    score = sum(rank for rank, gain in enumerate(order, start=1) if gain > 0)
    return sum(_ways(len(gains))[score:]) / float(2 ** len(gains))


@functools.cache
def _ways(n: int) -> tuple[int, ...]:
    """Return the number of subsets of the ranks 1 to n that have each sum."""
    ways = [1] + [0] * (n * (n + 1) // 2)
    for rank in range(1, n + 1):
        ways = [w + (ways[i - rank] if i >= rank else 0) for i, w in enumerate(ways)]
    return tuple(ways)


def decide(search: Sequence[float], confirmed: Sequence[float]) -> str:
    """Return the verdict, or the part of the next pair, for the gains in the order of the seeds."""
    for n, (error, futile) in LOOKS.items():
        if len(search) < n:
            return SEARCH
        p = p_value(search[:n])
        if p > futile:
            return REJECTED
        if p <= error:
            break
    if len(confirmed) < N_CONFIRMED:
        return CONFIRM
    is_better = p_value(confirmed) <= CONFIRM_ERROR and math.fsum(confirmed) > 0
    return KEPT if is_better else UNCONFIRMED
