import json
from pathlib import Path

import pytest
from commands import ok
from trainings import made_up_names, meta_of, training_of

NAMES, OTHERS = made_up_names(400), made_up_names(200, "abcxyz")
BUDGET = ("--budget", "1e10", "-n", "0")  # under a second
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
