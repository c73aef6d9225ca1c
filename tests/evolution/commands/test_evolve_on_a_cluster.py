import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from commands import ok
from searches import SMALL, begin, evaluations_of, log_of, run_of

pytestmark = pytest.mark.usefixtures("undrawn", "made_up_names")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a Dask scheduler with two workers, and the process of one worker."""
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
        options = ("--nthreads=1", "--no-nanny", "--local-directory=scratch")
        workers = [start("worker", address, *options) for _ in range(2)]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, workers[0]


@pytest.mark.slow
def test_losing_a_cluster_worker_does_not_change_the_result(microgpt, tmp_path, cluster) -> None:
    ok(microgpt("evolve", *SMALL))
    genome = (tmp_path / "genome.json").read_bytes()
    here = run_of(tmp_path)
    (tmp_path / "genome.json").unlink()
    address, worker = cluster
    process = begin(tmp_path, *SMALL, "--scheduler", address)
    worker.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert worker.poll() == -signal.SIGKILL
    assert (tmp_path / "genome.json").read_bytes() == genome
    there = run_of(tmp_path)
    assert here != there
    assert evaluations_of(there) == evaluations_of(here)
    assert log_of(there) == log_of(here)
