import json
from pathlib import Path

import pytest
from commands import ok, refused
from json_files import edit
from trainings import made_up_names, meta_of, training_of, weights

NAMES = "\n".join(made_up_names(300))
SMALL = ("--n-embd", "8", "--n-layer", "1", "--block-size", "8", "-n", "0")
TAUGHT = ("--teacher", "one", "--teacher", "two")


@pytest.fixture(scope="module")
def trained(prepare) -> Path:
    """A directory with two teachers, and a student of them."""
    small = (*SMALL, "--steps", "40", "--model")
    student = (*small, "student", *TAUGHT, "--val-fraction", "0.2")
    return prepare(NAMES, (*small, "one"), (*small, "two", "--seed", "7"), student)


@pytest.fixture
def folder(trained, folder) -> Path:
    """The copy of that directory, whose student has its teachers there."""
    state = folder / "student/train_state.json"
    state.write_text(state.read_text().replace(str(trained), str(folder)))
    return Path(folder)


def unfinished(folder: Path) -> None:
    """Have the student's training stand before it leaves its model."""
    edit(folder / "student/train_state.json", status="running")
    (folder / "student/weights.json").unlink()


def test_the_teachers_of_a_student_are_recorded_and_shown(microgpt, folder) -> None:
    hashes = [meta_of(folder / name)["weights_sha256"] for name in ("one", "two")]
    meta = training_of(folder / "student")
    assert (meta["teachers"], meta["teacher_sha256"]) == (["one", "two"], hashes)
    state = json.loads((folder / "student/train_state.json").read_text())
    directories = [str(folder / name) for name in ("one", "two")]
    assert state["teachers"] == [list(pair) for pair in zip(directories, hashes, strict=True)]
    told = microgpt("info", "student").stdout
    assert "teachers:        ['one', 'two']" in told
    assert microgpt("generate", "--model", "student", "-n", "2").returncode == 0


def test_a_student_whose_teachers_moved_needs_their_new_paths(microgpt, folder) -> None:
    before = weights(folder / "student")
    (folder / "two").rename(folder / "moved")
    unfinished(folder)
    command = ("train", "--resume", "student")
    for given in ((), ("one",), ("moved", "one")):
        error = refused(microgpt(*command, *(f"--teacher={each}" for each in given)))
        assert (", ".join(given) or str(folder / "two")) in error
        assert "not the 2 teachers of the run; pass their directories with --teacher" in error
    ok(microgpt(*command, "--teacher", "one", "--teacher", "moved", "--threads", "2"))
    assert weights(folder / "student") == before
    state = json.loads((folder / "student/train_state.json").read_text())
    assert state["teachers"][1][0] == str(folder / "moved")
