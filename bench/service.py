"""A service process that a benchmark sends requests to."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Service:
    """A running service."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """The address of the service."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(command: Sequence[str]) -> Iterator[Service]:
    """Start a service on a free port in an empty directory, and stop it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, stderr=stderr, cwd=folder)
        try:
            while not (found := re.search(r"http://[\w.]+:(\d+)", log.read_text())):
                if process.poll() is not None:
                    raise SystemExit(log.read_text())
                time.sleep(0.1)
            yield Service(int(found[1]), process.pid)
        finally:
            process.terminate()
            process.wait()
