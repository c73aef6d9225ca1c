import json
import math

import numpy as np
import pytest
from commands import ok

from microgpt import CharTokenizer, InferenceGpt, Message, answer_all, load, load_chat_tests
from microgpt.surprise import explain, score_texts
from microgpt_cli.baselines import standard_error
from microgpt_cli.calibration import (
    MAX_PREDICTIONS,
    Calibration,
    measure_tokens,
    reply_calibration,
)


def test_eval_prints_loss_standard_error_and_contamination(microgpt, text_model, tmp_path) -> None:
    (tmp_path / "held-out.txt").write_text("anna\nmia\n")
    done = ok(microgpt("eval", text_model, "--data", "held-out.txt"))
    assert done.stdout.startswith("documents:  2\ntokens:     9\nloss:       ")
    assert "note: 100.0% of this text is in the training set" in done.stderr
    facts = json.loads(microgpt("eval", text_model, "--data", "held-out.txt", "--json").stdout)
    assert (facts["n_docs"], facts["n_tokens"]) == (2, 9)
    bits = f"({facts['loss'] / math.log(2):.4f} bits)"
    spread = f"standard error over documents {facts['standard_error']:.4f} (contamination 100 %)"
    assert f"{facts['loss']:.4f} nats per token {bits}, {spread}\n" in done.stdout


@pytest.fixture
def exam(tmp_path):
    """A function that writes a file of conversations, each with one exchange and a task."""

    def ask(*exchanges: tuple[str, str, str | None]) -> str:
        lines = []
        for prompt, reply, task in exchanges:
            answer = {"role": "assistant", "content": reply, "task": task}
            lines.append(json.dumps([{"role": "user", "content": prompt}, answer]))
        (tmp_path / "exam.jsonl").write_text("\n".join(lines))
        return "exam.jsonl"

    return ask


def test_eval_counts_exact_replies_per_task_and_lists_the_others(
    microgpt, chat_model, exam
) -> None:
    wrong = ("hi", "oh", "tease"), ("hi", "oho", "tease"), ("hi", "yo", "tease")
    file = exam(("hi", "yo", "greet"), *wrong, ("hi", "hi", None))
    done = ok(microgpt("eval", chat_model, "--data", file))
    table, errors = done.stdout.split("\n\n")[1:3]
    assert "95% interval (contamination 40 %)" in table
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["greet", "1", "1", "100.0%", "20.7%", "to", "100.0%"],
        ["tease", "3", "1", "33.3%", "6.1%", "to", "79.2%"],
        ["all", "tasks", "4", "2", "50.0%", "15.0%", "to", "85.0%"],
    ]
    assert "  tease, line 2: 'hi': expected 'oh', got 'yo'\n" in errors
    assert errors.count("expected") == 2


@pytest.mark.compiled
def test_eval_json_counts_exact_replies_and_locates_the_others(microgpt, chat_model, exam) -> None:
    file = exam(("hi", "yo", "greet"), *[("hi", "oh", "tease")] * 9)
    done = microgpt("eval", chat_model, "--data", file, "--json", "--threads", "2")
    replies = json.loads(done.stdout)["replies"]
    assert (replies["n"], replies["n_exact"], replies["share"]) == (10, 1, 0.1)
    assert replies["interval"] == pytest.approx([0.0179, 0.4042], abs=5e-5)
    tasks = {task: (facts["n"], facts["n_exact"]) for task, facts in replies["tasks"].items()}
    assert tasks == {"greet": (1, 1), "tease": (9, 0)}
    assert replies["contamination"] == 0.1
    assert [error["line"] for error in replies["errors"]] == list(range(2, 11))
    where, what = {"line": 2, "message": 1}, {"prompt": "hi", "expected": "oh", "reply": "yo"}
    assert replies["errors"][0] == {"task": "tease", **where, **what, "problem": None}


def test_eval_reports_dropped_turns(microgpt, chat_model, tmp_path) -> None:
    hi = {"role": "user", "content": "hi"}
    yo = {"role": "assistant", "content": "yo", "task": "greet"}
    (tmp_path / "long.jsonl").write_text(json.dumps([hi, yo] * 5))
    done = microgpt("eval", chat_model, "--data", "long.jsonl", "--json")
    dropped = "note: 2 of 5 prompts lost their oldest turns to fit into the context\n"
    assert done.stderr.endswith(dropped)
    assert json.loads(done.stdout)["replies"]["n_cut"] == 2


def test_eval_counts_no_exact_replies_if_questions_have_no_task(microgpt, chat_model, exam) -> None:
    done = microgpt("eval", chat_model, "--data", exam(("hi", "yo", None)))
    assert done.stdout.startswith("documents:  1\ntokens:     3 in assistant messages\n")
    assert "exact" not in done.stdout
    assert "replies" not in done.stdout
    as_json = microgpt("eval", chat_model, "--data", exam(("hi", "yo", None)), "--json")
    facts = json.loads(as_json.stdout)
    sizes = ["n_docs", "n_tokens", "n_characters"]
    others = ["bits_per_character", "standard_error", "training_share", "calibration"]
    assert list(facts) == ["loss", *sizes, *others]


def test_the_calibration_error_is_the_weighted_mean_of_the_bin_gaps() -> None:
    """Two of three predictions with probability 90 % are correct; so is the only one with 30 %."""
    found = Calibration.from_pairs([(0.9, True), (0.9, False), (0.9, True), (0.3, True)])
    (low, high) = found.bins
    assert (low.low, low.n, low.right) == (pytest.approx(0.3), 1, 1.0)
    assert (high.n, high.probability, high.right) == (3, pytest.approx(0.9), pytest.approx(2 / 3))
    assert found.error == pytest.approx((3 * (0.9 - 2 / 3) + 0.7) / 4)


def test_calibration_accepts_no_predictions_and_probability_1() -> None:
    assert Calibration.from_pairs([]).error == 0
    assert Calibration.from_pairs([(1.0, True)]).bins[0].low == pytest.approx(0.9)


def test_measured_tokens_agree_with_log_probabilities_and_loss(names_result) -> None:
    """The expected calibration is computed from `log_probabilities`, document by document."""
    gpt, docs = InferenceGpt(names_result), ["nia", "mel"]
    pairs = []
    for doc in docs:
        tokens = gpt.tokenizer.encode_document(doc)[: gpt.config.block_size + 1]
        rows = gpt.log_probabilities(tokens[:-1])
        for target, row in zip(tokens[1:], rows, strict=True):
            pairs.append((math.exp(max(row)), max(row) == row[target]))
    measured = measure_tokens(gpt, docs, "lines")
    assert measured[:, 2].mean() == pytest.approx(gpt.evaluate(docs).loss)
    found, expected = Calibration.from_pairs(measured[:, :2]), Calibration.from_pairs(pairs)
    assert found.n == expected.n
    assert found.error == pytest.approx(expected.error, abs=1e-5)


@pytest.mark.compiled
def test_token_calibration_uses_a_limited_number_of_predictions(names_result, monkeypatch) -> None:
    monkeypatch.setitem(MAX_PREDICTIONS, "compiled", 20)
    measured = measure_tokens(InferenceGpt(names_result), ["nia", "mel"] * 500, "lines")
    assert 20 <= len(measured) < 100


def test_the_standard_error_of_a_loss_compares_whole_documents() -> None:
    """The losses of the documents, of 2 and 4 tokens, differ from the mean by 8 / 3 in sum."""
    losses = np.array([1, 1, 3, 3, 3, 3])

    def error(*docs: str, n: int = 6) -> float | None:
        return standard_error(losses[:n], docs, CharTokenizer("abc"), "lines")

    assert error("a", "abc") == pytest.approx(8 / 9)
    assert error("a", "abc", "c") == pytest.approx(8 / 9 * math.sqrt(2 / 3))  # c is not measured
    assert error("a", "abc", n=5) is None  # only one document is measured completely


def test_the_probability_of_a_reply_is_the_product_over_its_tokens(
    chat_result, exam, tmp_path
) -> None:
    """The model has memorized the reply "yo" to "hi"."""
    gpt, file = InferenceGpt(chat_result), tmp_path / exam(("hi", "yo", "greet"))
    answers = [*answer_all(gpt, load_chat_tests(file).items)]
    (only,) = reply_calibration(gpt, answers).bins
    assert (only.n, only.right) == (1, 1.0)
    tokens = gpt.chat_prompt(answers[0].item.conversation[:1]).tokens
    reply = [*gpt.tokenizer.encode("yo"), gpt.tokenizer.end_turn_id]
    total = 0.0
    for i, token in enumerate(reply):
        *_, row = gpt.log_probabilities([*tokens, *reply[:i]])
        total += row[token]
    assert only.probability == pytest.approx(math.exp(total), rel=1e-4)


def test_eval_prints_the_calibration_error_and_draws_it(microgpt, text_model, tmp_path) -> None:
    (tmp_path / "held-out.txt").write_text("anna\nmia\n")
    given = ("eval", text_model, "--data", "held-out.txt", "--output", "c.svg")
    done = ok(microgpt(*given))
    assert "calibration of 9 most likely tokens: expected error " in done.stdout
    facts = json.loads(ok(microgpt(*given, "--json")).stdout)["calibration"]["tokens"]
    assert facts["n"] == sum(each["n"] for each in facts["bins"]) == 9
    assert f"tokens: error {facts['error']:.1%}" in (tmp_path / "c.svg").read_text()


LINES = ["anna", "x\x1b[2Jq", "annaannaannaannaannaanna"]
CSI = "\x9b"  # control sequence introducer, which can replace ESC [


@pytest.fixture
def scores(text_model):
    return score_texts(InferenceGpt(load(text_model)), LINES)


def test_score_prints_lines_their_scores_and_contamination(microgpt, text_model, scores) -> None:
    done = ok(microgpt("score", text_model, stdin="\n".join(LINES)))
    assert "note: 33.3% of this text is in the training set" in done.stderr
    for line, score in zip(done.stdout.splitlines(), scores, strict=True):
        assert line.startswith(f"{score.bits_per_character:6.2f}  ")
        assert line.endswith(score.text)
    assert "  (100% unknown)  x\x1b[2Jq" in done.stdout  # output to a pipe is not escaped


def test_score_prints_a_json_object_for_each_line(microgpt, text_model, scores, tmp_path) -> None:
    (tmp_path / "lines.txt").write_bytes(("\ufeff" + "\r\n".join([*LINES, ""])).encode())
    lines = microgpt("score", text_model, "--data=lines.txt", "--jsonl").stdout.splitlines()
    for number, (line, score) in enumerate(zip(lines, scores, strict=True), 1):
        bits = score.bits_per_character
        assert json.loads(line) == {"line": number, **score._asdict(), "bits_per_character": bits}


def test_score_with_top_prints_the_most_surprising_lines(microgpt, text_model, scores) -> None:
    bits = {i: score.bits_per_character for i, score in enumerate(scores, 1)}
    done = microgpt("score", text_model, "--top=2", "--jsonl", stdin="\n".join(LINES))
    found = [json.loads(line)["line"] for line in done.stdout.splitlines()]
    assert found == sorted(bits, key=lambda i: -bits[i])[:2]


def test_score_escapes_control_characters_at_a_terminal(terminal, text_model, tmp_path) -> None:
    (tmp_path / "odd.txt").write_bytes(f"q\x1b[2J\a\rn{CSI}2J\u202e\n".encode() + b"a\x9b2J\n")
    child = terminal("score", text_model, "--data=odd.txt")
    assert child.exit_code() == 0
    shown = child.before.replace("\x1b[1;31m", "").replace("\x1b[0m", "").replace("\r\n", "")
    assert "2J" in shown
    assert shown.isprintable()


@pytest.mark.compiled
def test_score_accepts_invalid_bytes_and_long_lines(microgpt, text_model, tmp_path) -> None:
    (tmp_path / "odd.txt").write_bytes(b"\xfd\xfe\n" + b"an" * 50_000)
    done = microgpt("score", text_model, "--data=odd.txt", "--jsonl")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["n_unknown"], first["text"]) == (2, "\ufffd\ufffd")
    assert len(second["text"]) == 100_000


@pytest.mark.parametrize(
    ("name", "content", "options", "expected"),
    [
        ("folder/a.txt", b"anna\nemma\n", (), ["anna\nemma"]),
        ("names.fasta", b">a\nan\nna\n", (), ["anna"]),
        ("utf16.txt", "anna\nemma\n".encode("utf-16"), (), ["anna", "emma"]),
        ("t.csv", b'name,more\nanna,"a\nb"\nemma,x\n', ("--column=name",), ["anna", "emma"]),
    ],
)
def test_score_reads_a_folder_fasta_utf_16_or_a_table_column(
    microgpt, text_model, tmp_path, name, content, options, expected
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    done = microgpt("score", text_model, "--data", name.split("/")[0], *options, "--jsonl")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == expected


def test_explain_prints_the_same_result_as_the_library(microgpt, text_model) -> None:
    done = ok(microgpt("explain", text_model, "anna", "--top", "2"))
    result = explain(InferenceGpt(load(text_model)), "anna", n_alternatives=2)
    *lines, total = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*"anna", "<|bos|>"]
    for line, prediction in zip(lines, result.predictions, strict=True):
        assert f" {prediction.probability:.2%} " in line
        assert f" {prediction.bits:.1f} bits " in line
        assert f"{prediction.alternatives[0].text} " in line
    assert total == f"{result.bits:.1f} bits in all, {result.bits / 5:.2f} per token"


def test_explain_reads_two_arguments_as_the_turns_of_a_chat(microgpt, chat_model) -> None:
    done = microgpt("explain", chat_model, "hi", "yo")
    messages = [Message("user", "hi"), Message("assistant", "yo")]
    result = explain(InferenceGpt(load(chat_model)), messages)
    *lines, total = done.stdout.splitlines()
    assert len(lines) == len(result.scored)
    assert total.startswith(f"{result.bits:.1f} bits in all")
