"""Sequential test of whether a change lowers the loss (proof: docs/reference/searches.md)."""

# After 5, 10 and 20 pairs of runs, a change passes if its p-value is at most the first bound, and
# is rejected if it is above the second. The first bounds add up to a false-positive rate of 0.05.
LOOKS = {5: (1 / 32, 0.5), 10: (0.009375, 0.25), 20: (0.009375, 0.009375)}
N_CONFIRMED, CONFIRM_ERROR = 16, 0.02  # number of confirming pairs; their significance level
CLEAR_EFFECT = 1.05  # a mean gain of 1.05 standard deviations of the gains is kept in 90 % of cases

SEARCH, CONFIRM = "search", "confirm"  # the parts of a try, each with pairs of training runs
KEPT, REJECTED, UNCONFIRMED = "kept", "not better", "not confirmed"


def p_value(gains: list[float]) -> float:
    """Return the exact one-sided p-value of the Wilcoxon signed-rank test.

    Of gains of equal size, positive ones get the lower ranks, and a gain of 0 counts as negative,
    so that the p-value is never too low.
    """
    order = sorted(gains, key=lambda gain: (abs(gain), gain <= 0))
    score = sum(rank for rank, gain in enumerate(order, start=1) if gain > 0)
    ways = [1]  # ways[s] is the number of sets of ranks whose sum is s
    for rank in range(1, len(gains) + 1):
        more = [0] * rank
        ways = [without + new for without, new in zip(ways + more, more + ways, strict=True)]
    return sum(ways[score:]) / float(2 ** len(gains))


def decide(search: list[float], confirmed: list[float]) -> str:
    """Return SEARCH or CONFIRM if this part needs another pair of runs; otherwise, the verdict."""
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
    return KEPT if p_value(confirmed) <= CONFIRM_ERROR and sum(confirmed) > 0 else UNCONFIRMED
