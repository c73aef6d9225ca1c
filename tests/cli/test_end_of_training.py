"""Tests of what `train` prints about a model at the end of its training run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import ok

from microgpt import Message, ModelConfig, TrainConfig, train
from microgpt.data.split import split
from microgpt_cli.hidden_units import note_on_units
from microgpt_cli.training.inputs import first_messages

SHAPE = ("--n-embd", "16", "--n-layer", "1", "--block-size", "32")
QUICK = ("--chat", *SHAPE, "--steps", "2", "--model", "a")


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """A file of 40 conversations, each of which has one exchange."""
    pairs = [{"prompt": f"say {a}{b}", "completion": a} for a in "abcdefgh" for b in "vwxyz"]
    path = tmp_path / "talks.jsonl"
    path.write_text("\n".join(map(json.dumps, pairs)))
    return path


@pytest.mark.compiled
def test_train_reports_how_held_out_questions_are_answered(microgpt, talks) -> None:
    done = microgpt("train", "--data", talks, *QUICK, "--val-fraction", "0.5", "--json")
    replies = json.loads(done.stdout)["replies"]
    ((task, score),) = replies["tasks"].items()
    assert task == "held-out questions"
    assert 0 < score["n"] < 40
    assert replies["contamination"] == 0
    asked = {pair["prompt"] for pair in map(json.loads, talks.read_text().splitlines())}
    assert {error["prompt"] for error in replies["errors"]} < asked


@pytest.mark.compiled
def test_train_marks_the_score_of_contaminated_questions(microgpt, tmp_path, talks) -> None:
    talks.write_text(talks.read_text().replace('"say ', '" say  ') + "\n" + talks.read_text())
    done = ok(microgpt("train", "--data", talks, *QUICK, "--val-fraction", "0.5"))
    assert "95% interval (contamination " in done.stdout


@pytest.mark.compiled
def test_held_out_questions_used_by_the_parent_count_as_contaminated(microgpt, talks) -> None:
    ok(microgpt("train", "--data", talks, *QUICK[:-1], "parent"))
    more = ("--chat", "--from", "parent", "--steps", "2", "--model", "b")
    child = ok(microgpt("train", "--data", talks, *more, "--val-fraction", "0.5"))
    assert "95% interval (contamination 100 %)" in child.stdout


@pytest.mark.compiled
def test_replies_to_training_questions_are_reported_if_none_are_held_out(microgpt, talks) -> None:
    done = ok(microgpt("train", "--data", talks, *QUICK))
    assert "\nquestions of the training data      40 " in done.stdout
    shown = done.stdout.split("--- replies (temperature 0) ---\n")[1].splitlines()
    assert [line.split(":")[0] for line in shown] == 2 * ["user", "assistant"]
    assert shown[0] == "user:      say av"


def test_short_messages_of_several_kinds_become_the_examples_of_a_chat_model() -> None:
    texts = ("1 + 1", "2 + 1", "hi", "x" * 61, "is it open?", "so is it open?", "hi", "my secret")
    docs = [(Message("user", text), Message("assistant", text[-11:])) for text in texts]
    assert first_messages(split(docs)) == ("1 + 1", "hi", "is it open?", "my secret")  # one a reply
    assert first_messages(split(docs[:3])) == ("1 + 1", "hi", "2 + 1")


def test_the_example_messages_of_a_chat_model_are_never_held_out() -> None:
    docs = [(Message("user", f"number {i}"), Message("assistant", f"{i}")) for i in range(40)]
    parts = split(docs, validation=0.5)
    assert {doc[0].content for doc in parts.validation}.isdisjoint(first_messages(parts))


NAMES = ["anna", "mia", "bob"]


def test_a_note_warns_if_few_hidden_units_are_active() -> None:
    shape = ModelConfig(n_embd=8, n_head=2, n_layer=1, block_size=8)
    result = train(NAMES, model=shape, config=TrainConfig(steps=1))
    assert note_on_units(result, NAMES) is None
    dead = {**result.weights, "layer0.mlp_fc1": [[0.0] * 8] * 32}
    line = note_on_units(replace(result, weights=dead), NAMES)
    assert line.startswith("of 32 hidden units, 0 are active")
    assert "--learning-rate" in line


def test_modern_and_large_models_get_no_note_on_active_units() -> None:
    for changed in ({"architecture": "modern", "n_embd": 8}, {"n_embd": 256}):
        shape = ModelConfig(n_head=2, n_layer=1, block_size=8, **changed)
        result = train(NAMES, model=shape, config=TrainConfig(steps=1))
        dead = {name: [[0.0] * len(rows[0])] * len(rows) for name, rows in result.weights.items()}
        assert note_on_units(replace(result, weights=dead), NAMES) is None


@pytest.mark.compiled
def test_train_and_info_compare_a_loss_with_simple_baselines(microgpt) -> None:
    """The loss of a uniform guess is always printed; n-grams are compared if names are held out."""
    done = ok(microgpt("train", "--steps", "20", "-n", "0", "--model", "a"))
    assert "a uniform guess has a loss of 3.2958; " in done.stderr
    assert "--val-fraction 0.1" in done.stderr
    held_out = ("--val-fraction", "0.1", "--steps", "20", "-n", "0", "--model", "b")
    done = ok(microgpt("train", *held_out))
    assert "; a uniform guess 3.30, pairs 2.46, n-grams 2.0" in done.stderr
    assert "a uniform guess 3.30, pairs 2.46, n-grams 2.0" in ok(microgpt("info", "b")).stdout
    assert "baselines:" in ok(microgpt("info", "a")).stdout
