import json
import math

import pytest
from commands import ok

from microgpt import InferenceGpt, answer_all, load_chat_tests
from microgpt_cli.calibration import (
    MAX_PREDICTIONS,
    Calibration,
    reply_calibration,
    token_calibration,
)


def test_the_expected_error_is_the_weighted_mean_of_the_gaps() -> None:
    """Three predictions of 90 %, one of them wrong, and one of 30 %, which is right."""
    found = Calibration.from_pairs([(0.9, True), (0.9, False), (0.9, True), (0.3, True)])
    (low, high) = found.bins
    assert (low.low, low.n, low.right) == (pytest.approx(0.3), 1, 1.0)
    assert (high.n, high.probability, high.right) == (3, pytest.approx(0.9), pytest.approx(2 / 3))
    assert found.error == pytest.approx((3 * (0.9 - 2 / 3) + 0.7) / 4)
    assert Calibration.from_pairs([]).error == 0
    assert Calibration.from_pairs([(1.0, True)]).bins[0].low == pytest.approx(0.9)


def test_tokens_are_compared_with_the_most_likely_ones(names_result) -> None:
    """As `log_probabilities`, the slow way, gives them."""
    gpt, docs = InferenceGpt(names_result), ["nia", "mel"]
    pairs = []
    for doc in docs:
        tokens = gpt.tokenizer.encode_document(doc)[: gpt.config.block_size + 1]
        rows = gpt.log_probabilities(tokens[:-1])
        for target, row in zip(tokens[1:], rows, strict=True):
            pairs.append((math.exp(max(row)), max(row) == row[target]))
    found, expected = token_calibration(gpt, docs, "lines"), Calibration.from_pairs(pairs)
    assert found.n == expected.n
    assert found.error == pytest.approx(expected.error, abs=1e-5)


def test_the_number_of_predictions_is_limited(names_result, monkeypatch) -> None:
    monkeypatch.setitem(MAX_PREDICTIONS, "compiled", 20)
    found = token_calibration(InferenceGpt(names_result), ["nia", "mel"] * 500, "lines")
    assert 20 <= found.n < 100


def test_a_reply_has_the_probability_of_all_its_tokens(chat_result, tmp_path) -> None:
    """The model has learned to say "yo" to "hi" by heart."""
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yo", "task": "greet"},
    ]
    (tmp_path / "exam.jsonl").write_text(json.dumps(turns))
    gpt = InferenceGpt(chat_result)
    answers = [*answer_all(gpt, load_chat_tests(tmp_path / "exam.jsonl").items)]
    (only,) = reply_calibration(gpt, answers).bins
    assert (only.n, only.right) == (1, 1.0)
    tokens = gpt.chat_prompt(answers[0].item.conversation[:1]).tokens
    reply = [*gpt.tokenizer.encode("yo"), gpt.tokenizer.end_turn_id]
    total = 0.0
    for i, token in enumerate(reply):
        *_, row = gpt.log_probabilities([*tokens, *reply[:i]])
        total += row[token]
    assert only.probability == pytest.approx(math.exp(total), rel=1e-4)


def test_eval_prints_the_calibration_and_draws_it(microgpt, text_model, tmp_path) -> None:
    (tmp_path / "held-out.txt").write_text("anna\nmia\n")
    given = ("eval", text_model, "--data", "held-out.txt", "--output", "c.svg")
    done = ok(microgpt(*given))
    assert "calibration of 9 most likely tokens: expected error " in done.stdout
    facts = json.loads(ok(microgpt(*given, "--json")).stdout)["calibration"]["tokens"]
    assert facts["n"] == sum(each["n"] for each in facts["bins"]) == 9
    assert f"tokens: error {facts['error']:.1%}" in (tmp_path / "c.svg").read_text()
