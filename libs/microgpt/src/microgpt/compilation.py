"""Messages of engines, passed to whoever shows them, as before a compilation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

Tell = Callable[[str], None]

_tell: ContextVar[Tell | None] = ContextVar("_tell", default=None)


class EngineWarning(UserWarning):
    """The compiled engine cannot be used, so the default is the reference engine."""


@contextmanager
def on_compiling(tell: Tell) -> Iterator[None]:
    """Call `tell` once with each message: before a compilation, or when caching fails."""
    token = _tell.set(cache(tell))  # `cache` passes each message once
    try:
        yield
    finally:
        _tell.reset(token)


def report(line: str) -> None:
    """Pass a message to the function of `on_compiling`, if there is one."""
    if tell := _tell.get():
        tell(line)
