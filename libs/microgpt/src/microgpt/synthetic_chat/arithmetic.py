"""Addition, subtraction and comparison of the numbers from 0 to 99.

A pair of numbers is held out as a pair: in either order, and from all three tasks.
"""

from itertools import combinations_with_replacement

from microgpt.synthetic_chat.exchange import Draw, Exchange, Fillers, Wordings

LARGEST = 99

CLOSE = 0.25  # the share of the subtractions that are certain to leave less than ten

_ALL = [*combinations_with_replacement(range(LARGEST + 1), 2)]  # the smaller one first
_PAIRS, _CLOSE_PAIRS = (
    Fillers.of(pairs, lambda pair: f"{pair[0]} {pair[1]}")
    for pairs in (_ALL, [pair for pair in _ALL if pair[1] - pair[0] < 10])
)

_ADDITION = Wordings(
    seen=(
        "what is {} + {}?", "{} + {}?", "{}+{}?", "how much is {} + {}?", "what is {} plus {}?",
        "how much is {} plus {}?", "{} plus {}?", "add {} and {}", "what is the sum of {} and {}?",
        "can you add {} and {}?", "what do {} and {} make?", "please add {} and {}",
    ),
    unseen=("tell me {} + {}", "what does {} + {} make?", "i need the sum of {} and {}"),
)  # fmt: skip
_SUBTRACTION = Wordings(
    seen=(
        "what is {} - {}?", "{} - {}?", "{}-{}?", "how much is {} - {}?", "what is {} minus {}?",
        "how much is {} minus {}?", "{} minus {}?", "what is {} less {}?",
        "what is left of {} without {}?",
    ),
    unseen=("tell me {} - {}", "what does {} - {} make?", "i have {} and lose {}, what is left?"),
)  # fmt: skip
_LARGER = Wordings(
    seen=(
        "which is bigger, {} or {}?", "which is larger, {} or {}?", "what is more, {} or {}?",
        "what is bigger, {} or {}?", "which is greater, {} or {}?",
    ),
    unseen=("which one is more, {} or {}?", "the bigger one of {} and {}?"),
)  # fmt: skip
_SMALLER = Wordings(
    seen=(
        "which is smaller, {} or {}?", "what is less, {} or {}?", "what is smaller, {} or {}?",
        "which is less, {} or {}?",
    ),
    unseen=("which one is less, {} or {}?", "the smaller one of {} and {}?"),
)  # fmt: skip


def addition(draw: Draw) -> Exchange:
    """Ask for a sum, whose terms come in either order."""
    a, b = _pair(draw)
    return Exchange(draw.ask(_ADDITION, a, b), str(a + b), "addition")


def subtraction(draw: Draw) -> Exchange:
    """Ask for a difference that is not negative.

    One of a single digit is another thing to learn than the first digit of two, and rare by chance.
    """
    smaller, larger = draw.filler(_CLOSE_PAIRS if draw.chance(CLOSE) else _PAIRS)
    return Exchange(draw.ask(_SUBTRACTION, larger, smaller), str(larger - smaller), "subtraction")


def comparison(draw: Draw) -> Exchange:
    """Ask for the larger or the smaller one of two different numbers."""
    a, b = _pair(draw)
    while a == b:
        a, b = _pair(draw)
    wordings, answer = draw.pick(((_LARGER, max(a, b)), (_SMALLER, min(a, b))))
    return Exchange(draw.ask(wordings, a, b), str(answer), "comparison")


def _pair(draw: Draw) -> tuple[int, int]:
    smaller, larger = draw.filler(_PAIRS)
    return draw.pick(((smaller, larger), (larger, smaller)))
