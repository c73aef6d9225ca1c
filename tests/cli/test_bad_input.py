"""Each bad input, given to the real command: one clear line, the right exit code, nothing lost."""

import os
from pathlib import Path

import pytest
from commands import ok, refused

from microgpt_cli.training import request


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
        (["--budget", "inf"], "budget must be a number greater than 0, got inf"),
        (["--minutes", "0.0001"], "--minutes 0.0001 is too short, because the preparation takes "),
        (["--stepz", "5"], "no such option: --stepz"),
        (["names.txt"], "unexpected extra argument(s) (names.txt); see 'microgpt train --help"),
        (["--data", "more.txt"], "--data is given more than once; join the files, for example"),
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


def test_a_diverged_run_saves_weights_beside_the_old_model(microgpt, names, text_model) -> None:
    old = (text_model / "weights.json").read_bytes()
    done = microgpt("train", "--input", names, "--output", text_model, "--lr", "1e200", "--force")
    assert "the loss or its gradient became nan or infinite at step 2 of " in refused(done, 1)
    kept = text_model.with_name("text-model.diverged")
    assert f"(the last good weights are in {kept})" in done.stderr
    assert (text_model / "weights.json").read_bytes() == old
    assert microgpt("generate", "--model-dir", kept, "--num-samples", "1").returncode == 0


def test_a_divergence_is_reported_even_if_nothing_can_be_saved(microgpt, names, tmp_path) -> None:
    (tmp_path / "output.diverged").touch()
    done = microgpt("train", "--input", names, "--steps", "1", "--lr", "1e200")
    assert "nan or infinite after step 1 of 1; try a learning rate" in refused(done, 1)
    assert "were not saved" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["names.txt", "output", "output.diverged"]
    ok(microgpt("train", "--input", names, "--steps", "1"))


@pytest.mark.parametrize("command", ["generate", "info"])
def test_commands_refuse_a_missing_model(microgpt, tmp_path, command) -> None:
    remedy = "use a directory written by `microgpt train`"
    assert f"output does not exist; {remedy}" in refused(microgpt(command))
    (tmp_path / "output").mkdir()
    assert f"output has no model; {remedy}" in refused(microgpt(command))


def test_chat_refuses_a_model_without_chat_tokens(microgpt, text_model) -> None:
    done = microgpt("chat", "--model-dir", text_model)
    assert "or sample from this one with microgpt generate --model " in refused(done)


def test_an_argument_that_is_not_utf8_causes_no_traceback(microgpt, text_model) -> None:
    prompt = os.fsdecode(b"a\xff")
    assert "does not contain" in refused(microgpt("generate", "--model-dir", text_model, prompt))


def test_a_genome_needs_the_package_of_searches(microgpt, names, monkeypatch) -> None:
    monkeypatch.setattr(request, "plugin", lambda group, name: None)
    error = refused(microgpt("train", "--data", names, "--genome", "genome.json"))
    assert error.startswith("--genome requires microgpt-evolution")
