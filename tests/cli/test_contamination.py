import json
import random
from pathlib import Path

import commands
import pytest
from commands import ok
from trainings import made_up_names, training_of

pytestmark = pytest.mark.compiled

NAMES = "\n".join(made_up_names(300))
TEXT = " ".join(random.Random(0).choices(NAMES.split("\n"), k=3000))
SMALL = ("--n-embd", "8", "--n-layer", "1", "--block-size", "8", "--steps", "20", "-n", "0")
FRACTIONS = ("--val-fraction", "0.1", "--test-fraction", "0.1")
STREAM = ("--data", "text.txt", "--text", "stream")


@pytest.fixture(scope="module")
def trained(prepare) -> Path:
    """A directory with models trained on all names, on 80 % of them, and on running text."""
    honest = (*SMALL, "--model", "honest", *FRACTIONS)
    folder = prepare(NAMES, (*SMALL, "--model", "all"), honest)
    (folder / "text.txt").write_text(TEXT)
    running = ("--model", "running", *FRACTIONS, *SMALL)
    commands.run("train", *STREAM, *running, cwd=folder, check=True)
    return folder


@pytest.fixture
def train(microgpt, folder):
    """A function that trains the model `child`, and returns stderr, stdout and training facts."""

    def run(*options: str, data: str = "names.txt") -> tuple[str, str, dict]:
        steps = () if "--budget" in options else ("--steps", "20")
        command = ("train", "--data", data, "--model", "child", *steps, "-n", "0")
        done = ok(microgpt(*command, *options))
        return done.stderr, done.stdout, training_of(folder / "child")

    return run


@pytest.mark.parametrize("source", [("--from", "all"), ("--teacher", "all", "--n-embd", "8")])
def test_losses_on_training_documents_of_an_ancestor_are_marked(train, microgpt, source) -> None:
    notes, out, training = train(*source, *FRACTIONS)
    told = "validation (contamination 100 %), test (contamination 100 %)"
    assert f"used in training, so its losses are too low: {told}" in notes
    assert training["contamination"] == {"validation": 1, "test": 1}
    for line in out.splitlines()[-2:]:
        assert line.endswith(" (contamination 100 %)")
    assert f"{training['val_loss']:.4f} held-out (contamination 100 %)" in microgpt("list").stdout
    info = microgpt("info", "child").stdout
    assert f"{training['test_loss']:.4f} (contamination 100 %)\n" in info


@pytest.mark.parametrize(
    "source",
    [("--from", "honest"), ("--teacher", "honest"), ("--teacher", "honest", "--budget", "1e9")],
)
def test_a_model_holds_out_what_its_parent_or_teacher_held_out(train, source) -> None:
    notes, out, training = train(*source)
    assert "training of the parent or teacher: test_fraction 0.1, val_fraction 0.1" in notes
    assert (training["val_fraction"], training["test_fraction"]) == (0.1, 0.1)
    assert training["contamination"] == {"validation": 0, "test": 0}
    assert "contamination" not in notes + out


def test_only_a_new_split_of_the_text_contaminates_fine_tuning(train) -> None:
    _, _, training = train("--from", "running", data="text.txt")
    assert training["gap"] == 8
    assert training["contamination"] == {"validation": 0, "test": 0}
    options = ("--val-fraction", "0.3", "--test-fraction", "0.1", "--force")
    notes, _, training = train("--from", "running", *options, data="text.txt")
    assert training["contamination"]["validation"] > 0.4
    assert "its losses are too low: validation " in notes


def test_samples_found_in_the_data_of_the_parent_count_as_memorised(microgpt, folder) -> None:
    """The parent was trained on the held-out names, so they also count as training data."""
    options = ("--data", "names.txt", "--model", "child", "--from", "all", "--steps", "20")
    out = microgpt("train", *options, *FRACTIONS, "--json", "-n", "200").stdout
    facts = json.loads(out)
    names = {*NAMES.split("\n")}
    assert facts["memorised"]["n_known"] == sum(each in names for each in facts["samples"]) > 0


def test_commands_note_an_incomplete_record_of_training_data(microgpt, folder) -> None:
    (folder / "more.txt").write_text(NAMES[::-1])
    options = ("--data", "more.txt", "--model", "child", "--steps", "20")
    done = microgpt("train", *options, "--from", "all", "-n", "3")
    known = "in the training data (without other data of its parent or teacher): "
    assert known in done.stderr
    done = microgpt("generate", "--model", "child", "--novel", "-n", "1")
    assert "does not record all documents" in done.stderr
    done = microgpt("score", "child", stdin="anna")
    assert "may be training data of the model, its parent or its teachers" in done.stderr
    assert "training data" in microgpt("score", "running", "--data", "text.txt").stderr
    done = microgpt("score", "running", stdin="abba\n")  # `running` has no hashes of its data
    assert "may be training data" in done.stderr


def test_a_resumed_run_keeps_its_contamination_record(train, microgpt, folder) -> None:
    _, _, before = train("--from", "all", "--val-fraction", "0.1")
    known = (folder / "child/documents.crc32").read_bytes()
    done = microgpt("train", "--resume", "child", "--steps", "30", "-n", "0")
    assert (folder / "child/documents.crc32").read_bytes() == known
    assert "(contamination 100 %)" in done.stdout
    after = training_of(folder / "child")
    assert after["contamination"] == before["contamination"] == {"validation": 1}
    assert after["ancestor_data"] == before["ancestor_data"]
