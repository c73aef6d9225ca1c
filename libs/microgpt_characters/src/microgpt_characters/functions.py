"""The functions of computed slots, such as `{sum a b}`."""

from collections.abc import Callable
from typing import Literal, NamedTuple


class Function(NamedTuple):
    """A pure function of the values of slots."""

    n_slots: int
    kind: Literal["numbers", "words", "table"]
    apply: Callable[..., object]


FUNCTIONS = {
    "sum": Function(2, "numbers", lambda a, b: a + b),
    "difference": Function(2, "numbers", lambda a, b: a - b),
    "product": Function(2, "numbers", lambda a, b: a * b),
    "larger": Function(2, "numbers", max),
    "smaller": Function(2, "numbers", min),
    "spell": Function(1, "words", "-".join),
    "reverse": Function(1, "words", lambda word: word[::-1]),
    "count": Function(1, "words", len),
    "first": Function(1, "words", lambda word: word[0]),
    "last": Function(1, "words", lambda word: word[-1]),
    "title": Function(1, "words", str.title),
    "alphabetical": Function(2, "words", lambda a, b: ", ".join(sorted((a, b)))),
    "value": Function(1, "table", str),  # of a word in the table of its slot
}
EXAMPLES = {"numbers": 'a = "0..99"', "words": 'a = "names"', "table": 'a = { cat = "meow" }'}
