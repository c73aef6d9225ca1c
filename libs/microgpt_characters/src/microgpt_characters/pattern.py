"""Patterns of texts: `[a|b]` is one of the alternatives, `<name>` a macro, `{slot}` a slot.

A text is drawn from the alternatives, so that a pattern takes no memory for its wordings.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any, TypeVar

from microgpt import DataError

T = TypeVar("T")
Options = list[list[Any]]
MOST_CHARACTERS = 20_000  # of a pattern without macros
EARLY = 2.5  # how much more often early alternatives are drawn; 1: all equally often
_MACRO, _SLOT = re.compile(r"<(\w+)>"), re.compile(r"\{([\w ]+)\}")
_BRACES = str.maketrans({"\ue000": "{", "\ue001": "}"})  # private characters stand for {{ and }}
_LISTS = str.maketrans({"[": '",[["', "|": '"],["', "]": '"]],"'})  # make a JSON string lists
_GAP = re.compile(r"(?<=\w) (?=[,.!?;:](?:\s|$))")  # what an empty alternative leaves


def parse(text: str, macros: Mapping[str, str], *, is_reply: bool = False) -> str:
    """Return a pattern without macros; raise DataError if it is invalid.

    In a reply, `<name>` without such a macro is text, perhaps HTML.
    """
    if not text.strip():
        raise DataError("a text is empty; write one, or remove it")
    found = re.sub(r"\}\}(?!\})", "\ue001", text.replace("{{", "\ue000"))
    while not macros.keys().isdisjoint(_MACRO.findall(found)):
        found = _MACRO.sub(lambda m: f"[{macros[m[1]]}]" if m[1] in macros else m[0], found)
        if len(found) > MOST_CHARACTERS:
            raise DataError(
                f"with its macros, it exceeds {MOST_CHARACTERS:,} characters; shorten it, or "
                "change a macro that contains itself"
            )
    if not is_reply and (unknown := _MACRO.search(found)):
        raise DataError(f"no macro is called {unknown[0]}; add it to [macros]")
    if wrong := re.search(r"[{}]", _SLOT.sub("", found)):
        raise DataError(f"{wrong[0]!r} has no partner; write {{{{ and }}}} for braces")
    pattern = f"[{found}]"
    try:
        draw(Random(0), pattern)
    except (ValueError, RecursionError) as error:
        raise DataError("a [ or ] has no partner, or they are nested too deep; mend it") from error
    return pattern


def draw(rng: Random, pattern: str) -> str:
    """Return a random text, with its slots."""
    return _GAP.sub("", " ".join(_drawn(rng, _options(pattern)).split()))


def _drawn(rng: Random, options: Options) -> str:
    parts = pick(rng, options, EARLY)
    return "".join(part if isinstance(part, str) else _drawn(rng, part) for part in parts)


@lru_cache(10_000)
def _options(pattern: str) -> Options:
    """Return the alternatives of a pattern, each a list of texts and of other alternatives."""
    found: Options = json.loads(f"[[{json.dumps(pattern).translate(_LISTS)}]]")
    return found


def fill(text: str, value: Callable[[str], str]) -> str:
    """Return a text whose slots are filled; a function gives the value of `{what is in braces}`."""
    return _SLOT.sub(lambda slot: value(slot[1]), text).translate(_BRACES)


def slots_in(*texts: str) -> list[str]:
    """Return the slots of texts or patterns, each a name, or a function and names."""
    return [slot for text in texts for slot in _SLOT.findall(text)]


def names_in(*texts: str) -> set[str]:
    """Return the names in the slots of texts or patterns."""
    return {name for slot in slots_in(*texts) for name in slot.split()[1:] or [slot]}


def pick(rng: Random, values: Sequence[T], early: float = 1.0) -> T:
    """Return a random value. Python guarantees that `random` gives the same numbers everywhere."""
    return values[int(rng.random() ** early * len(values))]
