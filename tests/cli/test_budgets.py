"""The settings that a budget of operations or of minutes determines."""

import json
import random
from pathlib import Path

import pytest
from commands import ok
from trainings import made_up_names, meta_of, training_of, weights

NAMES, OTHERS = made_up_names(400), made_up_names(200, "abcxyz")
BUDGET = ("--budget", "1e10", "-n", "0")  # under a second
LITTLE = ("--budget", "2e9", "-n", "0")
TUNING = ("train", "--from", "parent", "--data", "others.txt")


@pytest.fixture(scope="module")
def trained(prepare) -> Path:
    """A directory with a parent, its data, and other data."""
    folder = prepare("\n".join(NAMES), ("--budget", "2e9", "-n", "0", "--model", "parent"))
    (folder / "others.txt").write_text("\n".join(OTHERS))
    return folder


def test_the_budget_determines_the_fine_tuning_settings(microgpt, folder) -> None:
    done = ok(microgpt(*TUNING, *BUDGET, "--model", "a"))
    facts = training_of(folder / "a")
    child, parent = meta_of(folder / "a"), meta_of(folder / "parent")
    assert facts.keys() >= {"lr", "steps", "batch_size", "val_loss", "test_loss"}
    assert facts["parent_sha256"] == parent["weights_sha256"]
    assert "note: added tokens with random weights: 'x', 'y', 'z'" in done.stderr
    assert (facts["dropout"], facts["budget"]) == (0.1, 1e10)
    for name in ("n_embd", "n_layer", "block_size"):
        assert child[name] == parent[name]
    assert f"{facts['steps']} steps of {facts['batch_size']} documents, dropout 0.1 " in done.stderr
    assert "note: why: " in done.stderr
    assert f"note: learning rate {facts['lr']:g}, because of the held-out losses" in done.stderr


def test_a_text_model_can_be_fine_tuned_on_conversations(microgpt, folder) -> None:
    talks = [
        [{"role": "user", "content": f"say {name}"}, {"role": "assistant", "content": name}]
        for name in OTHERS[:60]
    ]
    (folder / "talks.jsonl").write_text("\n".join(map(json.dumps, talks)))
    options = ("--data", "talks.jsonl", "--chat", *BUDGET[:2], "--model", "a")
    assert "exact answers" in ok(microgpt("train", "--from", "parent", *options)).stdout


def test_fine_tuning_keeps_given_learning_rates_and_fractions(microgpt, folder) -> None:
    done = ok(microgpt(*TUNING, *BUDGET, "--learning-rate", "0.002", "--model", "a"))
    assert training_of(folder / "a")["lr"] == 0.002
    assert "held-out losses after" not in done.stderr
    ok(microgpt(*TUNING, *BUDGET, "--val-fraction", "0", "--test-fraction", "0", "--model", "b"))
    assert "val_loss" not in training_of(folder / "b")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with names and a book."""
    rng = random.Random(0)
    paragraphs = [" ".join(rng.choices(NAMES, k=30)) for _ in range(60)]
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    (tmp_path / "book.txt").write_text("\n\n".join(paragraphs))
    return tmp_path


def notes(done) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("note: ")]


def test_train_prints_the_chosen_settings_and_reasons(microgpt, files) -> None:
    done = microgpt("train", "--data", "names.txt", *LITTLE, "--model", "a")
    chosen, why = notes(done)[:2]
    assert chosen.startswith("note: 2e9 operations: 2 layers of width 16, context 16, ")
    assert why.startswith("note: why: ")
    assert " characters in " in why


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a single document", "by default: too few documents (1)"),
        ("the same line\n" * 300, "by default: too few distinct documents (1)"),
        ("\n".join("ab " * 3000 for _ in range(3)) + "\nc" * 20, "longer than the block size"),
    ],
    ids=["one document", "all equal", "long lines"],
)
def test_train_accepts_small_and_unusual_data(microgpt, files, content, said) -> None:
    (files / "odd.txt").write_text(content)
    done = ok(microgpt("train", "--data", "odd.txt", "--budget", "2e10", "-n", "1", "--model", "a"))
    assert said in done.stderr
    assert done.stderr.count("too few") <= 1
    assert "sample  1: " in done.stdout


def test_train_says_that_a_text_is_too_short_for_the_budget(microgpt, files, monkeypatch) -> None:
    monkeypatch.setattr("microgpt.training.choice.MIN_USEFUL", 1e8)
    (files / "odd.txt").write_text("a single document")
    done = microgpt("train", "--data", "odd.txt", "--budget", "4e9", "--model", "a")
    assert "the data are too small for 4e9 operations, so training ends early" in done.stderr


@pytest.mark.slow
def test_a_run_limited_by_minutes_records_its_budget(microgpt, files) -> None:
    data = ("--data", "book.txt", "-n", "0")
    done = ok(microgpt("train", *data, "--minutes", "0.04", "--model", "a", "--json"))
    facts = training_of(files / "a")
    assert facts["minutes"] == 0.04
    assert facts["budget"] == float(f"{facts['budget']:.4g}") == json.loads(done.stdout)["budget"]
    assert " times in about " in notes(done)[1]
    microgpt("train", *data, "--budget", f"{facts['budget']}", "--model", "c")
    planned = training_of(files / "c")
    is_shortened = any(  # on a busy machine, by steps or by a teacher
        facts.get(name) != planned.get(name) for name in ("steps", "legs", "teachers")
    )
    assert is_shortened or weights(files / "a") == weights(files / "c")
