"""Computations in steps; the caller can pause between steps, or stop by not requesting the next."""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]  # each step takes a few ms; the last one returns the result


def finish(steps: Steps[T]) -> T:
    """Execute all steps and return the result."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
