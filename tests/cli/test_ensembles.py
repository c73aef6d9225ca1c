"""Tests of ensembles whose training is stopped by Ctrl-C and then resumed."""

import json
import os
import signal
from pathlib import Path

import pytest
from commands import ok, refused
from json_files import edit
from trainings import made_up_names, meta_of, training_of, weights

from microgpt import load
from microgpt_cli.terminal.progress_bar import TrainingProgress

pytestmark = pytest.mark.compiled

NAMES = "\n".join(made_up_names(300))
SMALL = ("--n-embd", "8", "--n-layer", "1", "--block-size", "8", "-n", "0")
RUN = ("--data", "names.txt", *SMALL, "--steps=300", "--n-teachers=2", "--val-fraction=0.1")


@pytest.fixture
def unspoilt(tmp_path: Path) -> Path:
    """A directory that contains only names.txt."""
    (tmp_path / "names.txt").write_text(NAMES)
    return tmp_path


def stop_in(what: str) -> pytest.MonkeyPatch:
    """Make the next command receive Ctrl-C while it trains the model `what` of an ensemble."""
    patch, update = pytest.MonkeyPatch(), TrainingProgress.update

    def follow(self, event) -> None:
        update(self, event)
        if self._model == what and event.step:
            os.kill(os.getpid(), signal.SIGINT)

    patch.setattr(TrainingProgress, "update", follow)
    return patch


def stopped(microgpt, what: str, *command: str) -> str:
    """Stop an ensemble while it trains the model `what`; return its last line on stderr."""
    patch = stop_in(what)
    done = microgpt("train", *command)
    patch.undo()
    assert done.returncode == 130, done.stderr
    line = done.stderr.splitlines()[-1]
    assert "; resume with: microgpt train --resume a" in line
    assert ("a has no model yet" in microgpt("list").stderr) == (what != "the student")
    return line


@pytest.fixture(scope="module")
def whole(prepare) -> bytes:
    """The weights of the student of an uninterrupted run."""
    return weights(prepare(NAMES, (*RUN[2:], "--model", "a")) / "a")


@pytest.mark.parametrize("what", ["teacher 2 of 2", "the student"])
def test_a_resumed_ensemble_ends_like_an_uninterrupted_one(microgpt, unspoilt, whole, what) -> None:
    assert f" of {what}; resume with" in stopped(microgpt, what, *RUN, "--model", "a")
    ok(microgpt("train", "--resume", "a", "-n", "0", "--threads", "2"))
    assert weights(unspoilt / "a") == whole
    assert not (unspoilt / "a/.teachers").exists()


@pytest.mark.parametrize("more", [("--minutes", "0.02"), ("--steps", "640")])
def test_a_finished_student_is_trained_further_without_teachers(microgpt, prepare, more) -> None:
    folder = prepare(NAMES, (*RUN[2:], "--model", "a"))
    before = load(folder / "a").meta.training
    done = ok(microgpt("train", "--resume", folder / "a"))
    assert "to continue it, pass a larger --steps, or --minutes" in done.stderr
    ok(microgpt("train", "--from", folder / "a", "--data", folder / "names.txt", "--steps=9"))
    done = ok(microgpt("train", "--resume", folder / "a", "-n", "0", *more))
    assert "its teachers are gone" in done.stderr
    found = load(folder / "a").meta.training
    assert found["steps"] > before["steps"]
    assert found["val_loss"] <= before["val_loss"]
    ok(microgpt("train", "--resume", folder / "a", "-n", "0", "--minutes", "0.02"))


def test_only_force_replaces_an_unfinished_run_and_its_teachers(microgpt, unspoilt) -> None:
    stopped(microgpt, "teacher 2 of 2", *RUN, "--model", "a")
    problem = refused(microgpt("train", *RUN, "--model", "a"))
    assert "the training run in a is unfinished (step " in problem
    one = ("--data", "names.txt", *SMALL, "--steps", "9")
    ok(microgpt("train", *one, "--model", "a", "--force"))
    assert not (unspoilt / "a/.teachers").exists()
    ok(microgpt("train", *one, "--model", "b"))
    assert weights(unspoilt / "a") == weights(unspoilt / "b")


def test_resuming_with_changed_or_missing_teachers_is_refused(microgpt, unspoilt) -> None:
    stopped(microgpt, "the student", *RUN, "--model", "a")
    teachers = unspoilt / "a/.teachers"
    (teachers / "2").rename(teachers / "old")
    ok(microgpt("train", "--data", "names.txt", *SMALL, "--steps=9", "--model=a/.teachers/2"))
    problem = refused(microgpt("train", "--resume", "a"))
    assert "not the 2 teachers of the run" in problem
    teachers.rename(unspoilt / "elsewhere")
    problem = refused(microgpt("train", "--resume", "a"))
    assert "not the 2 teachers of the run; pass their directories with --teacher" in problem


TAUGHT = ("--teacher", "one", "--teacher", "two")


@pytest.fixture(scope="module")
def trained(prepare) -> Path:
    """A directory with two teachers and their student."""
    small = (*SMALL, "--steps", "40", "--model")
    student = (*small, "student", *TAUGHT, "--val-fraction", "0.2")
    return prepare(NAMES, (*small, "one"), (*small, "two", "--seed", "7"), student)


@pytest.fixture
def folder(trained, folder) -> Path:
    """A copy of the directory `trained`, in which the student refers to the copied teachers."""
    state = folder / "student/train_state.json"
    state.write_text(state.read_text().replace(str(trained), str(folder)))
    return Path(folder)


def unfinished(folder: Path) -> None:
    """Reset the student's training run to the state before its model was written."""
    edit(folder / "student/train_state.json", status="running")
    (folder / "student/weights.json").unlink()


def test_a_student_records_its_teachers_and_info_shows_them(microgpt, folder) -> None:
    hashes = [meta_of(folder / name)["weights_sha256"] for name in ("one", "two")]
    meta = training_of(folder / "student")
    assert (meta["teachers"], meta["teacher_sha256"]) == (["one", "two"], hashes)
    state = json.loads((folder / "student/train_state.json").read_text())
    directories = [str(folder / name) for name in ("one", "two")]
    assert state["teachers"] == [list(pair) for pair in zip(directories, hashes, strict=True)]
    assert "teachers:        ['one', 'two']" in microgpt("info", "student").stdout


def test_resuming_a_student_requires_the_new_paths_of_moved_teachers(microgpt, folder) -> None:
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
