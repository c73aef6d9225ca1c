"""Tests that a changed or damaged receipt (results recorded in an export) is refused."""

import json
from pathlib import Path

import pytest
from exported_files import refusal
from exported_models import saved_model

from microgpt_exports.receipt import make_receipt, read_receipt

LOST = "a text does not fit its model"


def refused(content: str) -> str:
    return refusal(lambda path: read_receipt(content, path, 2**20), Path("path"))


@pytest.fixture(scope="module")
def receipt() -> str:
    saved = saved_model(block_size=32, architecture="modern")
    return make_receipt(saved, "onnx", "model.onnx").to_json()


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("model", {"vocab_size": 2**31 - 1}, "has fewer weights than its receipt says"),
        ("model", {"n_layer": 600, "n_embd": 2, "n_head": 1}, "600 layers, more than 512"),
        ("model", {"vocab_size": 0}, LOST),
        ("model", {"block_size": 2}, LOST),
        ("model", {"n_head": 16}, "an even n_embd / n_head, got 1"),
        ("greedy", [0] * 300, "the receipt is damaged: greedy"),
        ("greedy", [0, -1], LOST),
        ("format_version", 99, "but this microgpt reads only 4; use the version"),
        ("texts", [], "the receipt is damaged: texts"),
        ("name", "a" * 256, "the receipt is damaged: name"),
        ("model_sha256", "nan", "the receipt is damaged: model_sha256"),
    ],
)
def test_an_export_with_a_changed_receipt_is_refused(field, value, problem, receipt) -> None:
    facts = json.loads(receipt)
    facts[field] = facts[field] | value if isinstance(value, dict) else value
    assert problem in refused(json.dumps(facts))


def test_an_export_with_a_damaged_receipt_is_refused(receipt) -> None:
    facts = json.loads(receipt)
    facts["texts"][3]["log_probabilities"].pop()
    assert "a text lacks log-probabilities" in refused(json.dumps(facts))
    assert "the receipt is damaged" in refused("[" * 10_000)
