"""Patterns of texts: `[a|b]` is one of the alternatives, `<name>` a macro, `{slot}` a slot.

A text is drawn from the alternatives, so that a pattern takes no memory for its wordings.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any, TypeVar

from microgpt import MicrogptError

T = TypeVar("T")
Options = list[list[Any]]
MOST_DEPTH, MOST_CHARACTERS = 10, 20_000  # macros within macros; of a pattern without macros
EARLY = 2.5  # how much more often early alternatives are drawn; 1: all equally often
_GROUP, _MACRO = re.compile(r"\[([^\[\]]*)\]"), re.compile(r"<(\w+)>")
_BRACKET = re.compile(r"([\[\]|])")
_SLOT = re.compile(r"\{([\w ]+)\}")
_BRACES = str.maketrans({"\ue000": "{", "\ue001": "}"})  # private characters stand for {{ and }}
_GAP = re.compile(r"(?<=\w) (?=[,.!?;:](?:\s|$))")  # what an empty alternative leaves


class PatternError(MicrogptError):
    """A pattern is invalid; the message has no place."""


def parse(text: str, macros: Mapping[str, str], *, is_reply: bool = False) -> str:
    """Return a pattern without macros; raise PatternError if it is invalid.

    In a reply, `<name>` without such a macro is text, perhaps HTML.
    """
    found = re.sub(r"\}\}(?!\})", "\ue001", text.replace("{{", "\ue000"))
    for _ in range(MOST_DEPTH):
        found = _MACRO.sub(lambda m: f"[{macros[m[1]]}]" if m[1] in macros else m[0], found)
        if len(found) > MOST_CHARACTERS:
            raise PatternError(f"with its macros, it exceeds {MOST_CHARACTERS:,} characters")
    if name := next((name for name in _MACRO.findall(found) if name in macros), None):
        raise PatternError(
            f"the macro <{name}> contains itself, or macros nest too deep; change it"
        )
    if not is_reply and (name := next(iter(_MACRO.findall(found)), None)):
        raise PatternError(f"no macro is called <{name}>; add it to [macros]")
    rest = found
    while _GROUP.search(rest):
        rest = _GROUP.sub("", rest)
    if wrong := re.search(r"[][]", rest) or re.search(r"[{}]", _SLOT.sub("", found)):
        raise PatternError(f"{wrong[0]!r} has no partner; write {{{{ and }}}} for braces")
    return f"[{found}]"


def draw(rng: Random, pattern: str, fill: Callable[[list[str]], str]) -> str:
    """Return a random text; a function fills its slots, given the words between the braces."""
    text = _GAP.sub("", " ".join(_drawn(rng, _options(pattern)).split()))
    return _SLOT.sub(lambda slot: fill(slot[1].split()), text).translate(_BRACES)


def _drawn(rng: Random, options: Options) -> str:
    parts = pick_early(rng, options)
    return "".join(part if isinstance(part, str) else _drawn(rng, part) for part in parts)


@lru_cache(10_000)
def _options(pattern: str) -> Options:
    """Return the alternatives of a pattern, each a list of texts and of other alternatives."""
    groups: list[Options] = [[[]]]
    for token in _BRACKET.split(pattern):
        if token == "[":
            groups.append([[]])
        elif token == "]":
            group = groups.pop()
            groups[-1][-1].append(group)
        elif token == "|":
            groups[-1].append([])
        else:
            groups[-1][-1].append(token)
    return groups[0]


def slots_in(*patterns: str) -> list[list[str]]:
    """Return the words of each slot in patterns: a name, or a function and names."""
    return [slot.split() for pattern in patterns for slot in _SLOT.findall(pattern)]


def names_in(*patterns: str) -> set[str]:
    """Return the names of the slots that patterns need."""
    return {name for words in slots_in(*patterns) for name in words[1:] or words}


def pick(rng: Random, values: Sequence[T]) -> T:
    """Return a random value. Python guarantees that `random` gives the same numbers everywhere."""
    return values[int(rng.random() * len(values))]


def pick_early(rng: Random, values: Sequence[T]) -> T:
    """Return a random value; early ones are more likely."""
    return values[int(rng.random() ** EARLY * len(values))]
