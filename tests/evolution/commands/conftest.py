"""What tests of the command share: a cluster, and searches."""

import functools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import commands
import pytest
from searches import write_names

Searched = Callable[..., tuple[subprocess.CompletedProcess[str], Path]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a Dask scheduler, and its process with those of two workers."""
    from distributed import Client

    with ExitStack() as at_end, (tmp_path / "dask.log").open("wb") as log:

        def start(*args: str) -> subprocess.Popen[bytes]:
            command = ["dask", *args, "--no-dashboard"]
            process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
            at_end.enter_context(process)
            at_end.callback(process.kill)
            return process

        facts = tmp_path / "scheduler.json"
        scheduler = start(
            "scheduler", "--host=127.0.0.1", "--port=0", "--scheduler-file=scheduler.json"
        )
        while not (facts.exists() and facts.read_text()):
            assert scheduler.poll() is None
            time.sleep(0.05)
        address = json.loads(facts.read_text())["address"]
        workers = [
            start("worker", address, "--nthreads=1", "--no-nanny", "--local-directory=scratch")
            for _ in range(2)
        ]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, [scheduler, *workers]


@pytest.fixture
def made_up_names(tmp_path: Path) -> None:
    """A file of a few hundred made-up names, to search on."""
    write_names(tmp_path)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """Make a search that nothing disturbs, once for all tests, which change nothing of it."""

    @functools.cache
    def search(*options: str) -> tuple[subprocess.CompletedProcess[str], Path]:
        folder = tmp_path_factory.mktemp("searched")
        write_names(folder)
        return commands.run("evolve", *options, cwd=folder, check=True), folder

    return search
