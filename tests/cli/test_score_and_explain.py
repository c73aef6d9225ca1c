import json

import pytest
from commands import ok

from microgpt import InferenceGpt, Message, load
from microgpt.evaluation import explain, score_texts

LINES = ["anna", "x\x1b[2Jq", "annaannaannaannaannaanna"]
CSI = "\x9b"  # ESC [ as one character


@pytest.fixture
def scores(text_model):
    return score_texts(InferenceGpt(load(text_model)), LINES)


def test_score_prints_the_same_scores_as_the_library(microgpt, text_model, scores) -> None:
    done = ok(microgpt("score", text_model, stdin="\n".join(LINES)))
    assert "note: 33.3% of this text is training data" in done.stderr
    for line, score in zip(done.stdout.splitlines(), scores, strict=True):
        assert line.startswith(f"{score.bits_per_character:6.2f}  ")
        assert line.endswith(score.text)
    assert "  (100% unknown)  x\x1b[2Jq" in done.stdout  # a pipe gets the text as it is


def test_json_output_contains_every_score(microgpt, text_model, scores, tmp_path) -> None:
    (tmp_path / "lines.txt").write_bytes(("\ufeff" + "\r\n".join([*LINES, ""])).encode())
    lines = microgpt("score", text_model, "--data=lines.txt", "--jsonl").stdout.splitlines()
    for number, (line, score) in enumerate(zip(lines, scores, strict=True), 1):
        facts = json.loads(line)
        assert facts == {
            "line": number,
            **score._asdict(),
            "bits_per_character": score.bits_per_character,
        }


def test_top_chooses_the_most_surprising_lines(microgpt, text_model, scores) -> None:
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
def test_score_reads_files_of_the_kinds_that_train_reads(
    microgpt, text_model, tmp_path, name, content, options, expected
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    done = microgpt("score", text_model, "--data", name.split("/")[0], *options, "--jsonl")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == expected


def test_explain_prints_the_same_result_as_the_library(microgpt, text_model) -> None:
    done = microgpt("explain", text_model, "anna", "--top", "2")
    result = explain(InferenceGpt(load(text_model)), "anna", n_alternatives=2)
    *lines, total = done.stdout.splitlines()
    assert done.returncode == 0
    assert [line.split()[0] for line in lines] == [*"anna", "<|bos|>"]
    for line, prediction in zip(lines, result.predictions, strict=True):
        assert f" {prediction.probability:.2%} " in line
        assert f" {prediction.bits:.1f} bits " in line
        assert f"{prediction.alternatives[0].text} " in line
    assert total == f"{result.bits:.1f} bits in all, {result.bits / 5:.2f} per token"


def test_the_json_of_explain_equals_the_library_result(microgpt, text_model, chat_model) -> None:
    done = microgpt("explain", text_model, "anna", "--json")
    result = explain(InferenceGpt(load(text_model)), "anna")
    assert json.loads(done.stdout) == json.loads(json.dumps(result.facts()))
    done = microgpt("explain", chat_model, "hi", "yo", "--json")  # a conversation, turn by turn
    messages = [Message("user", "hi"), Message("assistant", "yo")]
    result = explain(InferenceGpt(load(chat_model)), messages)
    assert json.loads(done.stdout) == json.loads(json.dumps(result.facts()))
