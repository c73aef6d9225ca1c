"""Work for other processes: they import it from here."""

import os
import signal
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
