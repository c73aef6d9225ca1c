from pathlib import Path

import pytest
from commands import ok, refused
from exported_models import PORTABLE, saved_model
from gguf import GGUFReader

from microgpt import save
from microgpt_exports.onnx_file import OnnxSession


@pytest.fixture
def portable(tmp_path: Path) -> Path:
    save(saved_model("chat", block_size=32, **PORTABLE), tmp_path / "portable")
    return tmp_path / "portable"


def test_a_gguf_file_has_a_modelfile_beside_it(microgpt, portable, tmp_path) -> None:
    done = ok(microgpt("export", portable, "--format", "gguf", "--output", "new/mine.gguf"))
    file = tmp_path / "new/mine.gguf"
    beside = tmp_path / "new/mine.gguf.Modelfile"
    assert done.stdout.splitlines() == [
        f"new/mine.gguf: {file.stat().st_size:,} bytes",
        f"new/mine.gguf.Modelfile: {beside.stat().st_size:,} bytes",
    ]
    assert 'characters other than "abcdefghijklmnopqrstuvwxyz ."' in done.stderr
    assert beside.read_text().startswith("FROM ./mine.gguf\n")
    assert GGUFReader(file).fields["general.name"].contents() == "mine"


def test_an_export_replaces_only_an_earlier_export(microgpt, portable, tmp_path) -> None:
    options = ("export", portable, "--format", "transformers", "--output")
    problem = refused(microgpt(*options, portable, "--force"))
    assert problem.startswith(f"{portable} has files other than those of an export; use another")
    ok(microgpt(*options, "new"))
    assert refused(microgpt(*options, "new")).startswith("new has an earlier export; use another")
    (tmp_path / "new/config.json").unlink()
    ok(microgpt(*options, "new", "--force"))
    assert (tmp_path / "new/config.json").exists()
    (tmp_path / "file").write_text("mine")
    assert "file is a file, not a directory" in refused(microgpt(*options, "file", "--force"))


@pytest.mark.parametrize(
    ("format", "session"),
    [
        ("onnx", "onnx_file.OnnxSession"),
        ("gguf", "gguf_file.LlamaSession"),
        ("transformers", "transformers_directory.TransformersSession"),
    ],
)
def test_verify_chooses_the_program_by_the_exported_format(
    format, session, microgpt, portable, monkeypatch, tmp_path
) -> None:
    opened = []
    onnx = tmp_path / "model.onnx"
    ok(microgpt("export", portable, "--format", "onnx", "--output", onnx))
    ok(microgpt("export", portable, "--format", format, "--output", "new"))

    def run_instead(path):
        opened.append(path)
        return OnnxSession(onnx)

    monkeypatch.setattr(f"microgpt_exports.{session}", run_instead)
    assert "greedy continuation: equal" in ok(microgpt("verify", "new")).stdout
    assert opened == [Path("new")]
