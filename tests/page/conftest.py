"""What tests of the page share: `microgpt play` and the service in processes of their own."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import commands
import httpx2
import pytest


class Played(NamedTuple):
    """A running command, and the address at which it serves the page."""

    process: subprocess.Popen[str]
    url: str


Play = Callable[..., Played]


def started(stack: ExitStack, command: list[str | Path], pattern: str, **options: object) -> Played:
    """Start a command; return it once it has said where it serves the page."""
    process = stack.enter_context(commands.running(command, **options))
    assert process.stderr
    said = ""
    while not (found := re.search(pattern, said)):
        line = process.stderr.readline()
        assert line, said
        said += line
    return Played(process, found[1])


@pytest.fixture
def play(tmp_path) -> Iterator[Play]:
    """Starts `microgpt play` with models; the browser is a command that prints the address."""
    with ExitStack() as stack:

        def start(*models: Path | str) -> Played:
            command = [commands.COMMAND, "play", *models]
            env = {**os.environ, "BROWSER": "echo opened %s"}
            return started(stack, command, r"^open (\S+) in a browser", cwd=tmp_path, env=env)

        yield start


@pytest.fixture
def service(tmp_path) -> Iterator[Callable[[Path], Played]]:
    """Starts the service with a model."""
    pytest.importorskip("microgpt_serve")
    with ExitStack() as stack:

        def start(model: Path) -> Played:
            env = {**os.environ, "MODEL_DIR": str(model), "PORT": "0"}
            pattern = r" at (http://\S+)"
            found = started(stack, [commands.SERVE], pattern, cwd=tmp_path, env=env)
            httpx2.get(found.url, trust_env=False, timeout=300)  # it makes the page
            return found

        yield start
