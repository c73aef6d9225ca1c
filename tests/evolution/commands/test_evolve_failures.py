"""Searches that something ends early, or that cannot begin: what is said, and what stays."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import commands
import pytest
from commands import refused
from searches import run_of, write_names

pytestmark = pytest.mark.usefixtures("undrawn", "made_up_names")

SMALL = (
    *("--input", "names.txt", "--population", "4", "--generations", "3", "--seed", "5"),
    *("--workers", "1"),  # training runs are counted
)
BUDGET = ("--input", "names.txt", "--budget", "1e9")
ENDINGS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
N_TRAININGS = 1 + 4 + 3 + 3 + 6 + 3  # primordial, three generations, the best again, the winner

# The real command, but for its n-th training.
PROGRAM = """
    import os, sys, time
    import microgpt.training.train
    from microgpt_cli import main
    from microgpt_evolution.objectives import loss_objective
    number, n = map(int, sys.argv[1:3])
    del sys.argv[1:3]
    train, count = microgpt.training.train.train, 0
    def wait_until(is_so):
        while not is_so():
            time.sleep(0.01)
    def counted(*args, **kwargs):
        global count
        count += 1
        if count == n or n == 0:
            DO
        return train(*args, **kwargs)
    for module in (microgpt.training.train, loss_objective):
        module.train = counted
    main.main()
"""
STOP = 'os.kill(os.getpid(), number); wait_until(kwargs["should_stop"])'
CRASH = 'raise OSError("broken")'


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """The genome.json of a search that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    write_names(folder)
    commands.run("evolve", *SMALL, cwd=folder, check=True)
    return (folder / "genome.json").read_bytes()


def run_disturbed(folder: Path, do: str, number: int, n: int) -> subprocess.CompletedProcess[str]:
    """Run a search of which something happens in the n-th training, or in each."""
    program = textwrap.dedent(PROGRAM).replace("DO", do)
    command = [sys.executable, "-c", program, str(int(number)), str(n), "evolve", *SMALL]
    return commands.run_process(command, cwd=folder)


def errors_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what was said on stderr, but for notes and the progress."""
    return [
        line
        for line in done.stderr.splitlines()
        if not line.startswith(("note: ", "organism ", "study "))
    ]


@pytest.mark.parametrize(
    ("n", "number", "code", "word"),
    [
        (4, *ENDINGS[0]),
        (N_TRAININGS, *ENDINGS[1]),
    ],
)
def test_a_search_can_be_stopped_at_any_time_and_resumed(
    microgpt, tmp_path, whole, n, number, code, word
) -> None:
    done = run_disturbed(tmp_path, STOP, number, n)
    run = run_of(tmp_path)
    (line,) = errors_of(done)
    n_known = (run / "trials.jsonl").read_text().count("\n")
    assert n - 2 <= n_known < n  # the one before may not have been seen yet
    assert line == (
        f"{word} after {n_known} training runs; resume with: "
        f"microgpt evolve --resume experiments/{run.name}"
    )
    assert done.returncode == code
    assert not (tmp_path / "genome.json").exists()
    assert not (run / ".lock").exists()
    assert microgpt("evolve", "--resume", f"experiments/{run.name}").returncode == 0
    assert (tmp_path / "genome.json").read_bytes() == whole


def test_a_search_whose_runs_all_crash_keeps_the_old_genome(tmp_path) -> None:
    (tmp_path / "genome.json").write_text(
        '{"n_emb": 8, "n_ctx": 8, "n_layer": 1, "n_head": 1, "n_ff_exp": 1, "steps": 50, '
        '"lr": 0.01, "loss": 9.0, "generation": 1}'
    )
    before = (tmp_path / "genome.json").read_bytes()
    done = run_disturbed(tmp_path, CRASH, 0, 0)
    assert done.returncode == 1
    (error,) = errors_of(done)
    assert error == (
        "error: no training run completed: OSError: broken; see "
        f"experiments/{run_of(tmp_path).name}"
    )
    assert (tmp_path / "genome.json").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit for files")
def test_a_full_disk_is_reported_and_the_search_resumes(microgpt, tmp_path, whole) -> None:
    done = commands.run_with_little_room("evolve", *SMALL, cwd=tmp_path, most=2500)
    run = run_of(tmp_path)
    assert done.returncode == 1
    (error,) = errors_of(done)
    assert error.startswith("error: cannot write to experiments")
    assert error.endswith(
        f": File too large; resume with: microgpt evolve --resume experiments/{run.name}"
    )
    assert not (tmp_path / "genome.json").exists()
    assert microgpt("evolve", "--resume", f"experiments/{run.name}").returncode == 0
    assert (tmp_path / "genome.json").read_bytes() == whole


def test_unusable_output_paths_are_refused_before_the_search(microgpt, tmp_path) -> None:
    (tmp_path / "winner").write_text("mine")
    for place in ("winner", "winner/model"):
        error = refused(microgpt("evolve", *SMALL, "--train-winner", place))
        assert error == "winner is a file, not a directory; use another path"
    error = refused(microgpt("evolve", *SMALL, "--train-winner", "/proc/nowhere/model"))
    assert error.startswith("cannot write to /proc/nowhere/model: ")
    assert "must not be empty" in refused(microgpt("evolve", *SMALL, "--train-winner", ""))
    assert not (tmp_path / "experiments").exists()
