"""A message of an exported chat, and the error for a format that is not known."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from microgpt import DataError, printable

T = TypeVar("T")


class Post(NamedTuple):
    """A message; `text` is empty for pictures and for messages of tools and the system."""

    who: str
    at: float  # time in seconds; only differences count
    text: str


def post(who: str, at: float, text: str) -> Post:
    """Return a message with a name on one line, and a text that a conversation may have."""
    return Post(" ".join(who.split()), at, text.replace("\0", "").strip())


def read_each(read: Callable[[Any], T], values: Iterable[Any], path: Path) -> list[T]:
    """Apply a function to each JSON value; raise DataError if one has an unknown format."""
    found: list[T] = []
    try:
        found.extend(map(read, values))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        problem = str(error)
        if isinstance(error, KeyError):
            problem = f"there is no {error}"
        elif isinstance(error, AttributeError | IndexError | TypeError):
            problem = "a value has the wrong type"
        raise DataError(
            f"{path}, item {len(found) + 1} has a format that microgpt does not support "
            f"({printable(problem)}); export the chat again"
        ) from error
    return found
