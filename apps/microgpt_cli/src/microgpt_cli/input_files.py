"""Default input files, and a check of a path that comes from a file."""

import os
from pathlib import Path

from microgpt.data.documents import bundled
from microgpt.errors import ConfigError
from microgpt.memory_limit import free_bytes
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT, DEFAULT_TEXT


def default_input(*, chat: bool = False) -> Path:
    """Return the default data file: the one in this directory, else the one of microgpt."""
    name = DEFAULT_CHAT if chat else DEFAULT_TEXT
    path = Path("data", name)
    if not os.path.exists(path):
        note(f"there is no {path} here; using the {name} that comes with microgpt")
        path = bundled(name)
    return path


def check_regular(path: Path, remedy: str) -> None:
    """Raise ConfigError if a path is there but no regular file, or too large for the memory."""
    if not os.path.exists(path):
        return
    if not os.path.isfile(path):
        raise ConfigError(f"{path} is not a regular file; {remedy}")
    if os.path.getsize(path) > free_bytes():
        raise ConfigError(f"{path} is larger than the free memory; {remedy}")
