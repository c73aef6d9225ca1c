"""The first run ever, by the real command: with an empty cache, a read-only one, a stopped one."""

import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

NOTE = "note: compiling the engine (once on this computer, takes about ten seconds)\n"


@pytest.fixture
def start(tmp_path: Path, text_model: Path):
    """Start an evaluation, which has the smallest kernels, with an empty cache of its own."""
    (tmp_path / "names.txt").write_text("anna\nemma\n")
    # Not optimized, they take two thirds of the time.
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_OPT": "0"}

    options = {"cwd": tmp_path, "env": {**os.environ, **settings}, "text": True}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = ["microgpt", "eval", text_model, "--data", "names.txt"]
    return partial(subprocess.Popen, command, **options, **pipes)


@pytest.mark.slow
@pytest.mark.long
def test_the_engine_compiles_only_once_even_after_interrupts(start, tmp_path) -> None:
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        stopped = start()
        assert stopped.stderr.readline() == NOTE
        time.sleep(1)  # somewhere in the compiler
        stopped.send_signal(number)
        _, errors = stopped.communicate(timeout=60)
        assert stopped.returncode == code
        assert "Traceback" not in errors
    both = [start(), start()]
    for process in both:
        assert process.stderr.readline() == NOTE  # while it happens
        assert process.poll() is None
    results = [process.communicate() for process in both]
    assert not [name for name in os.listdir(tmp_path / "cache") if name.startswith(".")]
    again = start()
    results.append(again.communicate())
    assert [process.returncode for process in (*both, again)] == [0, 0, 0]
    assert "compil" not in "".join(errors for _, errors in results)
    assert len({out for out, _ in results}) == 1
    assert results[0][0].startswith("documents:  2\n")
