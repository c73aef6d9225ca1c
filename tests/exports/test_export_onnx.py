import re
from pathlib import Path

import pytest
from commands import ok, refused

ROW = re.compile(r"<\|bos\|>\S* +-[\d.]+ +-[\d.]+ +\d\.\de-\d\d")


@pytest.fixture
def file(microgpt, text_model, tmp_path: Path) -> Path:
    ok(microgpt("export", text_model, "--format", "onnx", "--output", "model.onnx"))
    return tmp_path / "model.onnx"


def test_verify_confirms_an_exported_model(microgpt, file) -> None:
    done = ok(microgpt("verify", file))
    title, *rows, greedy, seeded, largest = done.stdout.splitlines()
    assert title.split() == ["text", "receipt", "here", "largest", "difference"]
    assert len(rows) == 16
    assert all(ROW.fullmatch(row) for row in rows)
    assert greedy == "greedy continuation: equal (16 tokens)"
    assert seeded == "seeded continuation: equal (16 tokens)"
    assert re.fullmatch(r"largest difference: \d\.\de-\d\d nats \(at most 0\.001\)", largest)


def test_verify_fails_if_a_model_computes_something_else(microgpt, file, monkeypatch) -> None:
    from microgpt_exports.onnx_file import OnnxSession

    read = OnnxSession.read

    def wrong(session, tokens, cache):
        logits, cache = read(session, tokens, cache)
        logits[..., -1] += 0.01
        return logits, cache

    monkeypatch.setattr(OnnxSession, "read", wrong)
    done = microgpt("verify", file)
    assert done.returncode == 1
    assert done.stderr == f"error: {file} does not compute what its model computes\n"
    assert len(done.stdout.splitlines()) == 20


def test_an_existing_onnx_file_is_replaced_only_with_force(microgpt, text_model, file) -> None:
    options = ("export", text_model, "--format", "onnx", "--output", file)
    file.write_text("mine")
    problem = refused(microgpt(*options))
    assert problem == (f"{file} exists; use another file with --output, or replace it with --force")
    assert file.read_text() == "mine"
    made = ok(microgpt(*options, "--force"))
    assert made.stdout == f"{file}: {file.stat().st_size:,} bytes\n"
    again = file.read_bytes()
    ok(microgpt(*options, "--force"))
    assert file.read_bytes() == again


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--format=onnx", "--output=new.onnx", "--half"], "onnx has a precision of its own; omit"),
        (["--format=gguf", "--output=new.gguf", "--half"], "gguf has a precision of its own; omit"),
        (["--format=onnx", "--output=."], ". is a directory; name a file, such as model.onnx"),
    ],
)
def test_unsuitable_export_options_are_refused(microgpt, tmp_path, options, problem) -> None:
    assert refused(microgpt("export", *options)).startswith(problem)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["none.onnx"], "none.onnx does not exist"),
        (["mine.txt"], "mine.txt has none of the formats "),
        (["mine.onnx"], "mine.onnx has no receipt, or is damaged"),
        (["mine.gguf"], "mine.gguf has no receipt, or is damaged"),
        (["mine.txt", "--steps", "3"], "--steps and --engine cannot be used with a PATH"),
    ],
)
def test_verify_refuses_a_file_that_is_not_an_export(microgpt, tmp_path, options, problem) -> None:
    for name in ("mine.txt", "mine.onnx", "mine.gguf"):
        (tmp_path / name).write_text("mine")
    assert refused(microgpt("verify", *options)).startswith(problem)


@pytest.mark.usefixtures("edited")
def test_export_refuses_to_run_with_edited_sources(microgpt, text_model, tmp_path) -> None:
    options = ("--format", "onnx", "--output", "new.onnx")
    assert "model.py" in refused(microgpt("export", text_model, *options))
    assert not (tmp_path / "new.onnx").exists()
