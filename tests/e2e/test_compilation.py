"""The first run ever, by the real command: with an empty cache, a read-only one, a stopped one."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

NOTE = "note: compiling the engine for this computer (once, takes a few seconds)\n"
COMMAND = ["microgpt", "train", "--input", "names.txt", "--steps", "3", "--num-samples", "0"]


@pytest.fixture
def start(tmp_path: Path):
    """Start a training whose compiled engine is kept in a directory of the test."""
    (tmp_path / "names.txt").write_text("anna\nemma\n")

    def launch(output: str = "output") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, "--output", output],
            cwd=tmp_path,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return launch


@pytest.mark.slow
def test_only_the_first_run_compiles_and_says_so(start) -> None:
    first = start()
    assert first.stderr.readline() == NOTE  # while it happens
    assert first.poll() is None
    assert "compil" not in first.communicate()[1]
    second = start()
    out, errors = second.communicate()
    assert second.returncode == 0
    assert "compil" not in errors
    assert out.startswith("num docs: 2\n")


@pytest.mark.slow
def test_first_runs_that_are_stopped_leave_nothing_in_the_way(start) -> None:
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        stopped = start()
        assert stopped.stderr.readline() == NOTE
        time.sleep(2)  # somewhere in the compiler
        stopped.send_signal(number)
        _, errors = stopped.communicate(timeout=60)
        assert stopped.returncode == code
        assert "Traceback" not in errors
    again = start()
    again.communicate()
    assert again.returncode == 0


@pytest.mark.slow
def test_first_runs_at_once_all_end_well(start, tmp_path) -> None:
    processes = [start(f"output-{i}") for i in range(2)]
    results = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(results) == 1
    assert not [name for name in os.listdir(tmp_path / "cache") if name.startswith(".")]


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_told_and_changes_nothing_else(start, tmp_path) -> None:
    (tmp_path / "cache").touch()
    process = start()
    out, errors = process.communicate()
    assert process.returncode == 0
    assert out.startswith("num docs: 2\n")
    assert f"note: cannot cache the compiled engine ({tmp_path / 'cache'}: " in errors
