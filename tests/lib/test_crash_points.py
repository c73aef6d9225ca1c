"""Saves, exports and training runs that are killed before any of their file-system calls."""

import sys
from pathlib import Path

import commands
import pytest

SCRIPT = Path(__file__).with_name("crash_points.py")
SCENARIOS = [
    "save into a new directory", "save over a model", "save another format",
    "save subwords over characters", "save characters over subwords", "save subwords over others",
    "save subwords in another format", "save over a training", "save running text over a model",
    "export to a new directory", "export over a model", "train in a new directory",
    "train over a model", "train over a training", "train subwords over others",
    *(f"save after a save killed before call {n}" for n in range(0, 30, 5)),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_process_killed_at_any_call_leaves_old_or_new_files(tmp_path, scenario) -> None:
    program = "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    process = commands.run_process([sys.executable, "-c", program, SCRIPT, scenario, tmp_path])
    assert process.stderr == ""
    n_points = int(process.stdout.split()[0])
    assert n_points >= 10, process.stdout
