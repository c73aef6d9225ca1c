import json
import os

import pytest
from commands import ok, refused

COMMAND = ("dataset", "chat", "--conversations", "30")


@pytest.fixture
def lines(microgpt) -> str:
    """What the command prints."""
    done = microgpt(*COMMAND)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_dataset_command_prints_or_writes_conversations(microgpt, tmp_path, lines) -> None:
    assert len(lines.splitlines()) == 30
    assert {"role", "content", "task"} == set(json.loads(lines.splitlines()[0])[1])
    assert microgpt(*COMMAND, "--output", "-").stdout == lines
    done = microgpt(*COMMAND, "--output", "new/chat.jsonl")
    assert done.stdout == "Wrote 30 conversations to new/chat.jsonl\n"
    assert (tmp_path / "new/chat.jsonl").read_text() == lines
    assert os.listdir(tmp_path / "new") == ["chat.jsonl"]


def test_seed_and_split_determine_the_dataset(microgpt, lines) -> None:
    assert microgpt(*COMMAND, "--split", "train", "--seed", "42").stdout == lines
    others = [("--seed", "43"), ("--split", "heldout"), ("--split", "wordings")]
    assert len({lines, *(microgpt(*COMMAND, *other).stdout for other in others)}) == 4


def test_force_replaces_a_file(microgpt, tmp_path, lines) -> None:
    (tmp_path / "chat.jsonl").write_text("mine\n")
    ok(microgpt(*COMMAND, "--output", "chat.jsonl", "--force"))
    assert (tmp_path / "chat.jsonl").read_text() == lines


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--split", "test"], "invalid value for '--split'"),
        (["--output", "folder", "--force"], "folder is a directory; use another path"),
        (["--output", "chat.jsonl"], "chat.jsonl exists; use another file, or replace it with"),
    ],
)
def test_bad_dataset_options_change_nothing(microgpt, tmp_path, args, problem) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "chat.jsonl").write_text("mine\n")
    assert problem in refused(microgpt("dataset", "chat", *args))
    assert sorted(os.listdir(tmp_path)) == ["chat.jsonl", "folder"]
    assert (tmp_path / "chat.jsonl").read_text() == "mine\n"
