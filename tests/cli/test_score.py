import json

import pytest
from commands import ok, refused

from microgpt import InferenceGpt, load
from microgpt.evaluation import score_texts

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


def test_score_requires_a_column_name_for_a_table(microgpt, text_model, tmp_path) -> None:
    content = 'name,more\nanna,"a\nb"\nemma,x\n'
    (tmp_path / "t.csv").write_text(content)
    (tmp_path / "names.txt").write_text("anna\nemma\n")
    done = microgpt("score", text_model, "--data=t.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "read one column (--column NAME; column= in Python): name" in done.stderr
    column = microgpt("score", text_model, "--data=t.csv", "--column=name")
    assert column.stdout == microgpt("score", text_model, "--data=names.txt").stdout


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


def test_score_reads_files_of_the_kinds_that_train_reads(microgpt, text_model, tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.txt").write_text("anna\nemma\n")
    (tmp_path / "names.fasta").write_text(">a\nan\nna\n")
    (tmp_path / "utf16.txt").write_text("anna\nemma\n", encoding="utf-16")
    texts = {"folder": ["anna\nemma"], "names.fasta": ["anna"], "utf16.txt": ["anna", "emma"]}
    for name, expected in texts.items():
        done = microgpt("score", text_model, "--data", name, "--jsonl")
        assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == expected
    (tmp_path / "names.gz").write_bytes(b"\x1f\x8b\x08")
    assert "names.gz is a gzip file" in refused(microgpt("score", text_model, "--data=names.gz"))
