"""The slots of a character file: their values, and the functions that replies apply to them."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from pydantic_core import PydanticCustomError

from microgpt import DataError, bundled, load_text
from microgpt_characters.matching import words_of
from microgpt_characters.pattern import pick

HELD_OUT = 0.1  # fraction of words, pairs of numbers and wordings that is held out from training
LEAST_VALUES = 10  # of lists with fewer words, and of tables, none is held out
FUNCTIONS: dict[str, Callable[..., object]] = {
    "sum": lambda a, b: int(a) + int(b), "difference": lambda a, b: int(a) - int(b),
    "product": lambda a, b: int(a) * int(b), "larger": lambda a, b: max(a, b, key=int),
    "smaller": lambda a, b: min(a, b, key=int), "spell": "-".join, "reverse": lambda a: a[::-1],
    "count": len, "title": str.title, "first": lambda a: a[0], "last": lambda a: a[-1],
    "alphabetical": lambda a, b: ", ".join(sorted((a, b))),
}  # fmt: skip
USABLE = (
    f"use a name of [slots], or {', '.join(FUNCTIONS)} with one (those of numbers and alphabetical "
    "with two names), or value with one of a table"
)
WORD_LISTS = {
    **dict.fromkeys(("names", "short names"), bundled("names.txt")),
    **{name: Path(__file__).with_name(f"{name}.txt") for name in ("words", "colors")},
}
_RANGE = re.compile(r"0\.\.([a-z_]\w*)|(\d{1,9})\.\.(\d{1,9})")
_NO_WORD = re.compile(r"[][{}|<>]|^\s*$")
Source = str | Sequence[Any]  # a slot's name, or a sequence of values


class Slot(NamedTuple):
    """The values that a slot can have."""

    sources: tuple[Source, ...]  # one is drawn; a slot's name means the numbers from 0 to its value
    allowed: str = ""  # words and ranges, such as 0..9 or 0..{a}, of a message; "" for all words
    table: Mapping[str, str] = {}

    def draw(self, rng: Random, others: Mapping[str, str]) -> str:
        """Return a random value; `others` are the values of other slots, by name."""
        source = pick(rng, self.sources)
        return str(pick(rng, range(int(others[source]) + 1) if isinstance(source, str) else source))

    def trained(self) -> "Slot":
        """Return the slot without the words of its list that are held out for tests."""
        words, *others = self.sources
        if self.table or others or not isinstance(words, list) or len(words) < LEAST_VALUES:
            return self
        return self._replace(sources=([word for word in words if not is_held_out(word)],))


def slot(given: object) -> Slot:
    """Return the slot described by an entry of [slots], or raise PydanticCustomError."""
    if isinstance(given, str):
        texts = given.split("|")
        ranges = re.sub(r"[a-z_]\w*", r"{\g<0>}", " ".join(texts))  # 0..a becomes 0..{a}
        return Slot(tuple(map(_source, texts)), "" if WORD_LISTS.keys() & texts else ranges)
    table = given if isinstance(given, dict) else {}
    words = [*given] if isinstance(given, list | dict) else []
    texts = [*words, *table.values()]
    if not words or any(not isinstance(text, str) or _NO_WORD.search(text) for text in texts):
        raise PydanticCustomError("slot", "must be plain words without [ ] | < > or braces")
    return Slot((words,), " ".join(words_of(" ".join(words))), table)


@cache
def _source(text: str) -> Source:
    if text in WORD_LISTS:
        words = " ".join(load_text(WORD_LISTS[text])).split()
        known = (word for word in words if text == "names" or 3 <= len(word) <= 7)
        return [word for word in known if not is_held_out(word)]
    found = _RANGE.fullmatch(text)
    if found and found[1]:
        return found[1]
    numbers = range(int(found[2]), int(found[3]) + 1) if found else ()
    if not numbers:
        kinds = 'a list, a table, "names" or a range such as "0..99"'
        raise PydanticCustomError("slot", f"must be {kinds}")
    return numbers


def is_held_out(text: str) -> bool:
    """Return whether a text is held out from training; this depends only on the text's hash."""
    return int(sha256(text.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT


def computed(text: str, slots: Mapping[str, Slot], values: Mapping[str, str]) -> str:
    """Return the text for a slot, such as `a` or `sum a b`; raise DataError if it has no value."""
    function, *names = text.split()
    try:
        found = [values[name] for name in names or [function]]
        if not names:
            return found[0]
        if function == "value":
            return slots[names[0]].table[found[0]]
        return str(FUNCTIONS[function](*found))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{{{text}}} cannot be filled; {USABLE}") from error
