"""Kill a process between any two file operations of a save."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

# The file operations of a save, which syncs each file and directory after writing it.
OPERATIONS = ("open", "mkdir", "fsync", "rename", "replace", "unlink", "rmdir")


def killed_saves(before: Path, save: Callable[[Path], object]) -> Iterator[Path]:
    """Yield a copy of a directory after each possible kill of a save, and after a complete save.

    Args:
        before: the directory, which must exist and can be empty.
        save: saves a model in a given directory.
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
    """Make this process end before its n-th file operation."""
    calls = count()

    def wrap(real: Callable[..., object], is_needed: bool) -> Callable[..., object]:
        def operation(*args: object, **options: object) -> object:
            if next(calls) == n:
                os._exit(9)
            return real(*args, **options) if is_needed else None

        return operation

    for name in OPERATIONS:  # syncs are skipped: they matter only if the computer crashes
        setattr(os, name, wrap(getattr(os, name), name != "fsync"))
