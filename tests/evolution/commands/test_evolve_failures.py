"""Searches that something ends early, or that cannot begin: what is said, and what stays."""

import signal
import subprocess
import sys
from unittest.mock import Mock

import commands
import pytest
from commands import refused
from searches import run_of, write_names

from microgpt_evolution.objectives import loss_objective

pytestmark = pytest.mark.usefixtures("undrawn", "made_up_names")

SMALL = (
    *("--input", "names.txt", "--population", "4", "--generations", "3", "--seed", "5"),
    *("--workers", "1"),  # training runs are counted
)
N_TRAININGS = 1 + 4 + 3 + 3 + 6 + 3  # primordial, three generations, the best again, the winner


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """The genome.json of a search that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    write_names(folder)
    commands.run("evolve", *SMALL, cwd=folder, check=True)
    return (folder / "genome.json").read_bytes()


def errors_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what was said on stderr, but for notes and the progress."""
    return [
        line
        for line in done.stderr.splitlines()
        if not line.startswith(("note: ", "organism ", "study "))
    ]


@pytest.mark.parametrize(
    ("n", "number", "code", "word"),
    [(4, signal.SIGINT, 130, "interrupted"), (N_TRAININGS, signal.SIGTERM, 143, "terminated")],
)
def test_a_search_can_be_stopped_at_any_time_and_resumed(
    microgpt, tmp_path, whole, stopped_in, n, number, code, word
) -> None:
    with stopped_in(n, number):
        done = microgpt("evolve", *SMALL)
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


def test_if_all_runs_crash_the_old_genome_is_kept(microgpt, tmp_path, genome, monkeypatch) -> None:
    before = genome.read_bytes()
    monkeypatch.setattr(loss_objective, "train", Mock(side_effect=OSError("broken")))
    done = microgpt("evolve", *SMALL)
    assert done.returncode == 1
    (error,) = errors_of(done)
    run = run_of(tmp_path).name
    assert error == f"error: no training run completed: OSError: broken; see experiments/{run}"
    assert genome.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit for files")
def test_a_full_disk_is_reported_and_the_search_resumes(microgpt, tmp_path, whole) -> None:
    done = commands.run_with_little_room("evolve", *SMALL, cwd=tmp_path, most=2500)
    run = run_of(tmp_path)
    assert done.returncode == 1
    (error,) = errors_of(done)
    assert error.startswith("error: cannot write to experiments")
    assert error.endswith(f"large; resume with: microgpt evolve --resume experiments/{run.name}")
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
