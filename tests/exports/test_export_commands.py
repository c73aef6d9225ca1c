"""Tests of `export`, `verify` and `import` with the formats of other programs."""

import errno
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import ok, refused
from exported_models import PORTABLE, saved_model
from foreign_models import moonbase
from gguf import GGUFReader

from microgpt import save
from microgpt_exports import gguf_file, onnx_file, transformers_directory


@pytest.fixture
def file(microgpt, text_model, tmp_path: Path) -> Path:
    ok(microgpt("export", text_model, "--format", "onnx", "--output", "model.onnx"))
    return tmp_path / "model.onnx"


@pytest.fixture
def portable(tmp_path: Path) -> Path:
    save(saved_model("chat", block_size=32, **PORTABLE), tmp_path / "portable")
    return tmp_path / "portable"


def test_verify_confirms_an_exported_model(microgpt, file) -> None:
    greedy, largest = ok(microgpt("verify", file)).stdout.splitlines()
    assert greedy == "greedy continuation: equal (16 tokens)"
    assert re.fullmatch(r"largest difference: \d\.\de-\d\d nats \(at most 0\.001\)", largest)


def test_verify_fails_if_results_differ_from_the_recorded_ones(microgpt, file, monkeypatch) -> None:
    run = onnx_file.ONNX_FORMAT.run

    def wrong(path):
        read = run(path)

        def read_wrongly(tokens, cache):
            logits, cache = read(tokens, cache)
            return logits + 0.01 * (logits == logits.max()), cache

        return read_wrongly

    monkeypatch.setitem(vars(onnx_file.ONNX_FORMAT), "run", wrong)
    done = microgpt("verify", file)
    assert done.returncode == 1
    assert done.stderr == f"error: {file} does not compute what its model computes\n"


@pytest.mark.parametrize("format", ["c", "c-int8", "gguf", "onnx", "transformers"])
def test_export_states_int8_loss_and_a_next_command(microgpt, portable, tmp_path, format) -> None:
    done = ok(microgpt("export", portable, "--format", format, "--output", "new.c"))
    (line,) = [line for line in done.stderr.splitlines() if "next: " in line]
    command = line.split("next: ")[1]
    if format.startswith("c"):
        if not shutil.which("cc"):
            pytest.skip("needs a C compiler")
        assert "int8 costs " in done.stderr or format == "c"
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, input=b"hello.\n")
    else:
        assert shlex.split(command) == ["microgpt", "verify", "new.c"]


@pytest.mark.parametrize(
    "module", [onnx_file, gguf_file, transformers_directory], ids=lambda each: each.__name__
)
def test_verify_chooses_the_program_by_the_exported_format(
    module, microgpt, portable, monkeypatch, tmp_path
) -> None:
    name = module.__name__.split(".")[1].split("_")[0]
    format = getattr(module, f"{name.upper()}_FORMAT")
    opened = []
    onnx = tmp_path / "model.onnx"
    ok(microgpt("export", portable, "--format", "onnx", "--output", onnx))
    ok(microgpt("export", portable, "--format", name, "--output", "new"))
    run = onnx_file.ONNX_FORMAT.run
    monkeypatch.setitem(vars(format), "run", lambda path: opened.append(path) or run(onnx))
    assert "greedy continuation: equal" in ok(microgpt("verify", "new")).stdout
    assert opened == [Path("new")]


def test_gguf_export_names_the_model_and_lists_its_characters(microgpt, portable, tmp_path) -> None:
    done = ok(microgpt("export", portable, "--format", "gguf", "--output", "new/mine.gguf"))
    assert 'characters other than "abcdefghijklmnopqrstuvwxyz ."' in done.stderr
    assert GGUFReader(tmp_path / "new/mine.gguf").fields["general.name"].contents() == "mine"


def test_a_directory_export_replaces_only_an_export_by_force(microgpt, portable, tmp_path) -> None:
    options = ("export", portable, "--format", "transformers", "--output")
    problem = refused(microgpt(*options, portable, "--force"))
    assert problem.startswith(f"{portable} has files other than those of an export; use another")
    ok(microgpt(*options, "new"))
    assert refused(microgpt(*options, "new")).startswith("new has an earlier export; use another")
    (tmp_path / "new/config.json").unlink()
    ok(microgpt(*options, "new", "--force"))
    assert (tmp_path / "new/config.json").exists()
    (tmp_path / "file").write_text("mine")
    assert "cannot write to file: " in refused(microgpt(*options, "file", "--force"))


@pytest.mark.parametrize("format", ["onnx", "c"])
def test_an_existing_file_is_replaced_only_by_force(microgpt, text_model, tmp_path, format) -> None:
    file = tmp_path / "mine"
    options = ("export", text_model, "--format", format, "--output", file)
    file.write_text("mine")
    problem = refused(microgpt(*options))
    assert problem == (f"{file} exists; use another file with --output, or replace it with --force")
    assert file.read_text() == "mine"
    assert ok(microgpt(*options, "--force")).stdout == f"{file}: {file.stat().st_size:,} bytes\n"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("export --format=c --output=.", ". is a directory; name a file, such as model.c"),
        ("export --format=c --output=/dev/full --force", "/dev/full is not a regular file"),
        ("verify none.onnx", "none.onnx does not exist"),
        ("verify mine.onnx", "mine.onnx is in none of the formats "),
        ("verify /dev/zero", "cannot read /dev/zero: not a regular file"),
        ("verify mine.onnx --steps 3", "--steps and --engine cannot be used with a PATH"),
    ],
)
def test_export_and_verify_refuse_unsuitable_paths_and_options(
    microgpt, text_model, tmp_path, command, problem
) -> None:
    text_model.rename(tmp_path / "output")
    (tmp_path / "mine.onnx").write_text("mine")
    assert problem in refused(microgpt(*command.split()))
    assert {*os.listdir(tmp_path)} == {"mine.onnx", "output"}


@pytest.mark.parametrize("name", ["weights.json", "meta.json"])
@pytest.mark.parametrize("format", ["c", "html"])
def test_an_export_never_replaces_a_file_of_a_model(microgpt, text_model, format, name) -> None:
    if format == "html":
        pytest.importorskip("microgpt_page")
    before = (text_model / name).read_bytes()
    options = ("--format", format, "--output", text_model / name, "--force")
    assert "is a file of a model; use another" in refused(microgpt("export", text_model, *options))
    assert (text_model / name).read_bytes() == before


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_full_disk_or_an_interruption_leaves_the_old_export(
    microgpt, text_model, file, monkeypatch, tmp_path, error
) -> None:
    before = {path.name: path.is_dir() or path.read_bytes() for path in tmp_path.iterdir()}

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    done = microgpt("export", text_model, "--format", "c", "--output", file, "--force")
    assert done.returncode
    assert "Traceback" not in done.stderr
    assert {path.name: path.is_dir() or path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.usefixtures("edited")
def test_export_refuses_to_run_with_edited_sources(microgpt, text_model, tmp_path) -> None:
    options = ("--format", "onnx", "--output", "new.onnx")
    assert "model.py" in refused(microgpt("export", text_model, *options))
    assert not (tmp_path / "new.onnx").exists()


def test_info_chat_explain_and_export_work_on_an_imported_model(microgpt, tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    done = ok(microgpt("import", "theirs", "--model", "ours"))
    assert done.stdout == "ours: 8,416 weights, from MoonBase\n"
    assert "imported_from" in ok(microgpt("info", "ours")).stdout
    ok(microgpt("chat", "--model", "ours", "what is 7"))
    ok(microgpt("explain", "ours", "what is 7"))
    ok(microgpt("export", "ours", "--output", "copy"))
    ok(microgpt("export", "ours", "--format", "onnx", "--output", "ours.onnx"))
    ok(microgpt("verify", "ours.onnx"))


def test_info_suggests_import_for_a_moonbase_directory(microgpt, tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    problem = refused(microgpt("info", "theirs"))
    assert problem.endswith("convert it with: microgpt import theirs --model NAME")


def test_import_replaces_another_model_only_with_force(microgpt, text_model, tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    again = refused(microgpt("import", "theirs", "--model", text_model))
    assert "has a model (" in again
    assert again.endswith("use another directory with --model, or replace the model with --force")
    ok(microgpt("import", "theirs", "--model", text_model, "--force"))


def test_a_refused_import_leaves_the_old_model(microgpt, text_model, tmp_path) -> None:
    before = {path.name: path.read_bytes() for path in Path(text_model).iterdir()}
    (tmp_path / "bad.pt").write_bytes(b"PK\3\4 and nothing else")
    problem = refused(microgpt("import", "bad.pt", "--model", text_model, "--force"))
    assert problem.startswith("bad.pt is neither a MoonBase nor a transformers model")
    assert {path.name: path.read_bytes() for path in Path(text_model).iterdir()} == before


def test_an_import_does_not_replace_its_own_checkpoint(microgpt, tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    before = {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}
    problem = refused(microgpt("import", "theirs", "--model", "./theirs", "--force"))
    assert problem == "theirs is the checkpoint itself; use another directory with --model"
    assert {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()} == before
