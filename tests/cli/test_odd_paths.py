"""Every command with paths, and a working directory, that are not UTF-8."""

import json
import os
from pathlib import Path

import pytest
from commands import ok, run
from trainings import made_up_names, training_of

FOLDER, TEXT, MODEL = (os.fsdecode(name) for name in (b"w\xff", b"n\xfe.txt", b"m\xfd"))
SMALL = ["--steps=5", "--num-samples=1", "--n-embd=4"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A directory whose name is not UTF-8, with a training file and a model of such names."""
    folder = tmp_path_factory.mktemp("odd") / FOLDER
    folder.mkdir()
    (folder / TEXT).write_text("\n".join(made_up_names(40)))
    ok(run("train", "--input", TEXT, "--output", MODEL, *SMALL, cwd=folder))
    return folder


def test_a_training_run_with_unusual_paths_can_be_resumed(trained) -> None:
    facts = json.loads((trained / MODEL / "train_state.json").read_text())
    assert facts["input"].endswith("/w%FF/n%FE.txt")
    ok(run("train", "--resume", MODEL, "--steps=9", "--num-samples=1", cwd=trained))
    assert training_of(trained / MODEL)["steps"] == 9


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [
        ["generate", "--model-dir", MODEL, "--num-samples=1"],
        ["eval", MODEL, "--data", TEXT, "--json"],
        ["info", "--data", TEXT],
        ["export", "--model-dir", MODEL, "--output", MODEL + "2"],
        ["train", "--from", MODEL, "--input", TEXT, "--output", MODEL + "3", *SMALL],
        ["train", "--teacher", MODEL, "--input", TEXT, "--output", MODEL + "4", *SMALL[:-1]],
    ],
)
def test_every_command_accepts_unusual_paths(trained, args) -> None:
    done = ok(run(*args, cwd=trained))
    assert "Traceback" not in done.stderr
