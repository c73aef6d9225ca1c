"""Every command with paths, and a working directory, that are not UTF-8."""

import json
import os
from pathlib import Path

import pytest
from commands import ok

FOLDER, TEXT, MODEL = (os.fsdecode(name) for name in (b"w\xff", b"n\xfe.txt", b"m\xfd"))
SMALL = ["--steps=5", "--num-samples=1", "--engine=reference", "--n-embd=4"]


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A working directory whose name is not UTF-8, with a training file of such a name."""
    folder = tmp_path / FOLDER
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    (folder / TEXT).write_text("".join(f"{a}{b}na\n" for a in "abcdefgh" for b in "aeiou"))
    return folder


@pytest.fixture
def trained(microgpt, tmp_path: Path) -> Path:
    ok(microgpt("train", "--input", TEXT, "--output", MODEL, *SMALL))
    return tmp_path


def test_a_training_run_with_unusual_paths_can_be_resumed(microgpt, trained) -> None:
    facts = json.loads((trained / MODEL / "train_state.json").read_text())
    assert facts["input"].endswith("/w%FF/n%FE.txt")
    ok(microgpt("train", "--resume", MODEL, "--steps=9", "--num-samples=1"))
    meta = json.loads((trained / MODEL / "meta.json").read_text())
    assert meta["training"]["steps"] == 9


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [
        ["generate", "--model-dir", MODEL, "--num-samples=1"],
        ["eval", MODEL, "--data", TEXT],
        ["eval", MODEL, "--data", TEXT, "--json"],
        ["info", "--model-dir", MODEL],
        ["info", "--data", TEXT],
        ["info", "--data", TEXT, "--json"],
        ["export", "--model-dir", MODEL, "--output", MODEL + "2"],
        ["train", "--from", MODEL, "--input", TEXT, "--output", MODEL + "3", *SMALL],
        ["train", "--input", TEXT, "--output", MODEL + "3", "--json", *SMALL],
    ],
)
def test_every_command_accepts_unusual_paths(microgpt, trained, args) -> None:
    done = ok(microgpt(*args))
    assert "Traceback" not in done.stderr
