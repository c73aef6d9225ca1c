import json
import signal

import pytest
from commands import ok, refused, running

from microgpt import InferenceGpt, load
from microgpt.evaluation import Scorer

LINES = ["anna", "x\x1b[2Jq", "annaannaannaannaannaanna"]
CSI = "\x9b"  # ESC [ as one character


@pytest.fixture
def scores(text_model):
    return Scorer(InferenceGpt(load(text_model))).score(LINES)


def test_score_prints_the_same_scores_as_the_library(microgpt, text_model, scores) -> None:
    done = ok(microgpt("score", text_model, stdin="\n".join(LINES)))
    assert "note: 1 of 3 lines are training data; their scores are lower" in done.stderr
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
            "text": score.text,
            "bits_per_character": score.bits_per_character,
            "bits": score.bits,
            "n_unknown": score.n_unknown,
            "is_training_data": score.text == "anna",
        }


def test_top_and_above_choose_the_most_surprising_lines(microgpt, text_model, scores) -> None:
    bits = {i: score.bits_per_character for i, score in enumerate(scores, 1)}
    limit = sorted(bits.values())[1]
    for option, expected in (
        ("--top=2", sorted(bits, key=lambda i: -bits[i])[:2]),
        (f"--above={limit}", [i for i in bits if bits[i] >= limit]),
    ):
        done = microgpt("score", text_model, option, "--jsonl", stdin="\n".join(LINES))
        assert [json.loads(line)["line"] for line in done.stdout.splitlines()] == expected


def test_score_requires_a_column_name_for_a_table(microgpt, text_model, tmp_path) -> None:
    content = 'name,more\nanna,"a\nb"\nemma,x\n'
    (tmp_path / "t.csv").write_text(content)
    (tmp_path / "names.txt").write_text("anna\nemma\n")
    done = microgpt("score", text_model, "--data=t.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "read one column (--column NAME; column= in Python): name" in done.stderr
    column = microgpt("score", text_model, "--data=t.csv", "--column=name")
    assert column.stdout == microgpt("score", text_model, "--data=names.txt").stdout
    piped = microgpt("score", text_model, stdin=content)
    assert piped.stdout.count("\n") == content.count("\n")


def test_score_escapes_control_characters_at_a_terminal(terminal, text_model, tmp_path) -> None:
    (tmp_path / "odd.txt").write_bytes(f"q\x1b[2J\a\rn{CSI}2J\u202e\n".encode() + b"a\x9b2J\n")
    child = terminal("score", text_model, "--data=odd.txt")
    assert child.exit_code() == 0
    shown = child.before.replace("\x1b[1;31m", "").replace("\x1b[0m", "").replace("\r\n", "")
    assert "2J" in shown
    assert shown.isprintable()


def test_score_prints_each_line_as_it_arrives(text_model) -> None:
    command = ["microgpt", "score", text_model]
    with running(command) as process:
        for line in ("anna", "emma"):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            assert process.stdout.readline().endswith(f"{line}\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == "interrupted\n"


def test_score_accepts_invalid_bytes_and_long_lines(microgpt, text_model, tmp_path) -> None:
    (tmp_path / "odd.txt").write_bytes(b"\xfd\xfe\n" + b"an" * 50_000)
    done = microgpt("score", text_model, "--data=odd.txt", "--jsonl")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["n_unknown"], first["text"]) == (2, "\udcfd\udcfe")
    assert len(second["text"]) == 100_000


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--data=none.txt"], "cannot read none.txt: No such file or directory"),
        (["--above=x"], "invalid value for '--above': must be a valid number"),
        (["--column=a"], "--column requires a file; add --data or omit --column"),
    ],
)
def test_bad_input_to_score_gives_a_one_line_error(microgpt, text_model, args, problem) -> None:
    assert problem in refused(microgpt("score", text_model, *args))


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
