"""Default input files, and checks of input paths."""

import os
from pathlib import Path

from microgpt.data.documents import bundled
from microgpt.errors import ConfigError
from microgpt.resource_limits import free_bytes
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_TEXT


def default_input(name: str = DEFAULT_TEXT) -> Path:
    """Return the default data file in ./data, or the bundled file if ./data has none."""
    path = _default_file(name)
    if path != Path("data", name):
        note(f"{Path('data', name)} not found; using the bundled {name}")
    return path


def is_default_input(path: Path, name: str = DEFAULT_TEXT) -> bool:
    """Return whether an absolute path refers to the default data file."""
    return str(path) == os.path.abspath(_default_file(name))


def _default_file(name: str) -> Path:
    path = Path("data", name)
    return path if os.path.exists(path) else bundled(name)


def from_here(path: Path) -> Path:
    """Return a path, made relative if it is below the working directory."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def check_regular(path: Path, remedy: str) -> None:
    """Raise ConfigError if a path is a device or a pipe, or a file that exceeds the free memory."""
    if not os.path.exists(path) or os.path.isdir(path):
        return
    if not os.path.isfile(path):
        raise ConfigError(f"{path} is not a regular file; {remedy}")
    if os.path.getsize(path) > free_bytes():
        raise ConfigError(f"{path} is larger than the free memory; {remedy}")
