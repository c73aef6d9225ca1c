"""Each bad input, given to the real command: one clear line, the right exit code, nothing lost."""

import os
from pathlib import Path

import pytest
from commands import refused

from microgpt_cli.training import train_request


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A small training file."""
    path = tmp_path / "names.txt"
    path.write_text("anna\nemma\n")
    return path


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--num-samples", "-1"], "--num-samples (-n) must be >= 0, got -1"),
        (["--patience", "2"], "--patience requires --val-fraction"),
        (["--text", "stream", "--chat"], "--chat cannot be used with --text stream"),
        (["--text", "stream", "--column", "a"], "--column cannot be used with --text stream"),
        (["--text", "stream", "--val-fraction", "0.2"], "the train split is empty; add text"),
        (["--chat", "--num-samples", "5"], "--num-samples cannot be used with"),
        (["--val-fraction", "0.001"], "too few documents (2): the validation split is empty"),
        (["--from", "nowhere"], "nowhere does not exist; use a directory"),
        (["--resume", "nowhere"], "nowhere does not exist; "),
        (["--resume", "."], "has no checkpoint"),
        (["--resume", "names.txt"], "names.txt is not a directory; "),
        (["--minutes", "0.0001"], "--minutes 0.0001 is too short, because the preparation takes "),
        (["--stepz", "5"], "no such option: --stepz"),
        (["--data", "more.txt"], "--data is given more than once; it takes one value"),
    ],
)
def test_train_refuses_invalid_settings(microgpt, names, tmp_path, args, problem) -> None:
    assert problem in refused(microgpt("train", "--input", names, *args))
    assert os.listdir(tmp_path) == ["names.txt"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read data: No such file or directory"),
        (b"\n \n", "data is empty; write one document per line"),
        (b"anna\nren\xe9\n", "data is not UTF-8 text (line 2 has the byte 0xe9); it seems to be"),
    ],
)
def test_train_refuses_an_unusable_text_file(microgpt, tmp_path, content, problem) -> None:
    if content is not None:
        (tmp_path / "data").write_bytes(content)
    assert problem in refused(microgpt("train", "--input", "data", "--output", "a/model"))
    problem = problem.replace(
        "is empty; write one document per line", "has no text; use another file"
    )
    stream = ("--text", "stream", "--output", "a/model")
    assert problem in refused(microgpt("train", "--input", "data", *stream))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("output", ["names.txt", "/proc/nowhere/model"])
def test_train_refuses_an_output_path_that_it_cannot_write(microgpt, names, output) -> None:
    done = microgpt("train", "--input", names, "--output", output)
    assert output in refused(done)
    assert done.stdout == ""  # before any work
    assert names.read_text() == "anna\nemma\n"


def test_a_diverged_run_keeps_the_old_model(microgpt, names, text_model) -> None:
    old = (text_model / "weights.json").read_bytes()
    done = microgpt("train", "--input", names, "--output", text_model, "--lr", "1e200", "--force")
    assert "the loss or its gradient became nan or infinite at step 2 of " in refused(done, 1)
    assert "try a learning rate" in done.stderr
    assert (text_model / "weights.json").read_bytes() == old


def test_an_argument_that_is_not_utf8_causes_no_traceback(microgpt, text_model) -> None:
    prompt = os.fsdecode(b"a\xff")
    assert "does not contain" in refused(microgpt("generate", "--model-dir", text_model, prompt))


def test_a_genome_needs_the_package_of_searches(microgpt, names, monkeypatch) -> None:
    monkeypatch.setattr(train_request, "plugin", lambda group, name: None)
    error = refused(microgpt("train", "--data", names, "--genome", "genome.json"))
    assert error.startswith("--genome requires microgpt-evolution")
