from pathlib import Path

from commands import ok, refused
from foreign_models import moonbase


def test_an_imported_chat_model_works_with_every_command(microgpt, tmp_path) -> None:
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


def test_only_force_replaces_another_model(microgpt, text_model, tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    again = refused(microgpt("import", "theirs", "--model", text_model))
    assert "has a model (" in again
    assert again.endswith("use another directory with --model, or replace the model with --force")
    ok(microgpt("import", "theirs", "--model", text_model, "--force"))


def test_a_refused_checkpoint_leaves_the_old_model(microgpt, text_model, tmp_path) -> None:
    before = {path.name: path.read_bytes() for path in Path(text_model).iterdir()}
    (tmp_path / "bad.pt").write_bytes(b"PK\3\4 and nothing else")
    problem = refused(microgpt("import", "bad.pt", "--model", text_model, "--force"))
    assert problem.startswith("bad.pt has no checkpoint that `microgpt import` reads")
    assert {path.name: path.read_bytes() for path in Path(text_model).iterdir()} == before


def test_an_import_does_not_replace_its_own_checkpoint(microgpt, tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    before = {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}
    problem = refused(microgpt("import", "theirs", "--model", "./theirs", "--force"))
    assert problem == "theirs is the checkpoint itself; use another directory with --model"
    assert {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()} == before
