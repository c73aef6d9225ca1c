"""Default input files, and checks of input paths."""

import os
from pathlib import Path

from microgpt import ConfigError, bundled, free_bytes
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_TEXT


def default_input(name: str = DEFAULT_TEXT) -> Path:
    """Return the default data file in ./data, or the bundled file if ./data has none."""
    path = Path("data", name)
    if os.path.exists(path):
        return path
    note(f"{path} not found; using the bundled {name}")
    return bundled(name)


def check_regular(path: Path, remedy: str) -> None:
    """Raise ConfigError if a path is a device or a pipe, or a file that exceeds the free memory."""
    if not os.path.exists(path) or os.path.isdir(path):
        return
    if not os.path.isfile(path):
        raise ConfigError(f"{path} is not a regular file; {remedy}")
    if os.path.getsize(path) > free_bytes():
        raise ConfigError(f"{path} is larger than the free memory; {remedy}")
