"""Kill a process between each two file operations of a save."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

# Each file and each directory is synced once it is written.
OPERATIONS = ("open", "mkdir", "fsync", "rename", "replace", "unlink", "rmdir")


def killed_saves(before: Path, save: Callable[[Path], object]) -> Iterator[Path]:
    """Yield a copy of a directory after each kill of a save in it, and at last after a whole save.

    Args:
        before: the directory, which may be missing or empty.
        save: saves in the directory that it gets.
    """
    for n in count():
        folder = before.with_name(f"killed{n}")
        shutil.copytree(before, folder)
        child = os.fork()
        if not child:
            _end_before(n)
            save(folder)
            os._exit(0)
        is_whole = os.waitpid(child, 0)[1] == 0
        yield folder
        if is_whole:
            assert n > 5
            return


def _end_before(n: int) -> None:
    """Have this process end before its n-th file operation."""
    calls = count()

    def wrap(real: Callable[..., object], is_needed: bool) -> Callable[..., object]:
        def operation(*args: object, **options: object) -> object:
            if next(calls) == n:
                os._exit(9)
            return real(*args, **options) if is_needed else None

        return operation

    for name in OPERATIONS:  # a sync takes time, and matters only if the computer stops
        setattr(os, name, wrap(getattr(os, name), name != "fsync"))
