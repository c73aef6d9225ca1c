"""Patterns from which texts are drawn: `[a|b]` is a or b, `<name>` a macro, and `{slot}` a slot.

Texts are drawn one by one, because a list of all texts of a pattern can exceed the memory.
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
MOST_CHARACTERS = 20_000  # maximum length of a pattern after its macros are replaced
EARLY = 2.5  # exponent that makes early alternatives likelier; with 1, all are equally likely
_MACRO, _SLOT = re.compile(r"<(\w+)>"), re.compile(r"\{([\w ]+)\}")
_BRACES = str.maketrans({"\ue000": "{", "\ue001": "}"})  # private-use characters for {{ and }}
_LISTS = str.maketrans({"[": '",[["', "|": '"],["', "]": '"]],"'})  # turns a pattern into JSON
_GAP = re.compile(r"(?<=[\w}]) (?=[,.!?;:](?:\s|$))")  # a space left by an empty alternative


def parse(text: str, macros: Mapping[str, str], *, is_reply: bool = False) -> str:
    """Return a text as a pattern, with its macros replaced; raise DataError if it is invalid.

    In a reply, `<name>` is plain text, such as HTML, if there is no macro of this name.
    """
    if not text.strip():
        raise DataError("a text is empty; write one, or remove it")
    found = re.sub(r"\}\}(?!\})", "\ue001", text.replace("{{", "\ue000"))
    while not macros.keys().isdisjoint(_MACRO.findall(found)):
        found = _MACRO.sub(lambda m: f"[{macros[m[1]]}]" if m[1] in macros else m[0], found)
        if len(found) > MOST_CHARACTERS:
            problem = f"with its macros, it exceeds {MOST_CHARACTERS:,} characters"
            raise DataError(f"{problem}; shorten it, or a macro that contains itself")
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
    """Return a random text that matches the pattern, with its slots unfilled."""
    return _GAP.sub("", " ".join(_drawn(rng, _options(pattern)).split()))


def _drawn(rng: Random, options: Options) -> str:
    parts = pick(rng, options, EARLY)
    return "".join(part if isinstance(part, str) else _drawn(rng, part) for part in parts)


@lru_cache(10_000)
def _options(pattern: str) -> Options:
    """Return the alternatives of a pattern; each is a list of texts and of nested alternatives."""
    found: Options = json.loads(f"[[{json.dumps(pattern).translate(_LISTS)}]]")
    return found


def fill(text: str, value: Callable[[str], str]) -> str:
    """Return a text in which `value(slot)` replaces each `{slot}`; `{{` and `}}` become braces."""
    return _SLOT.sub(lambda slot: value(slot[1]), text).translate(_BRACES)


def slots_in(*texts: str) -> list[str]:
    """Return the content of each slot in texts or patterns, such as `a` or `sum a b`."""
    return [slot for text in texts for slot in _SLOT.findall(text)]


def names_in(*texts: str) -> set[str]:
    """Return the names in the slots of texts or patterns, such as a and b in `{sum a b}`."""
    return {name for slot in slots_in(*texts) for name in slot.split()[1:] or [slot]}


def pick(rng: Random, values: Sequence[T], early: float = 1.0) -> T:
    """Return a random value, an early one more often if `early` is above 1."""
    return values[int(rng.random() ** early * len(values))]  # the same in every Python version
