"""Work for other processes: they import it from here."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

KILLER = 3


def square(item: int) -> int:
    return item * item


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(marker: Path, item: int) -> int:
    if item == KILLER and not marker.exists():
        marker.touch()
        die()
    return square(item)


def die_always(item: int) -> int:
    if item == KILLER:
        die()
    return square(item)


def hang_but_for_the_first(item: int) -> int:
    if item:
        time.sleep(3600)
    return item


class Unreadable:
    """What can be pickled, but not be unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return int, ("no number",)


def give_one_unreadable(item: int) -> int | Unreadable:
    return Unreadable() if item == KILLER else square(item)
