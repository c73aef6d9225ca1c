import json
import random
from pathlib import Path

import pytest
from commands import ok, refused
from foreign_models import moonbase

from microgpt import ModelConfig
from microgpt.model import init_weights

NAMES = "anna\nemma\nbob\n"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights with the names of Karpathy's script, for the characters of NAMES."""
    (tmp_path / "names.txt").write_text(NAMES)
    config = ModelConfig(n_embd=8, n_head=2, n_layer=1, block_size=8, vocab_size=7)
    file = tmp_path / "weights.json"
    file.write_text(json.dumps(init_weights(config, random.Random(1))))
    return file


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


def test_an_imported_weights_file_can_generate_texts(microgpt, weights) -> None:
    options = ("--n-head", "2", "--data", "names.txt", "--model", "ours")
    done = ok(microgpt("import", weights, *options))
    assert done.stdout == "ours: 944 weights, from JSON\n"
    assert len(ok(microgpt("generate", "--model", "ours", "-n", "3")).stdout.splitlines()) == 3
    again = refused(microgpt("import", weights, *options))
    assert again.startswith("ours has a model; ")
    assert again.endswith("use another directory with --model, or replace the model with --force")
    ok(microgpt("import", weights, *options, "--force"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--n-head", "2"], "weights.json has no vocabulary; add --data with the text"),
    ],
)
def test_an_incomplete_import_is_refused_and_writes_nothing(
    microgpt, weights, tmp_path, options, problem
) -> None:
    said = refused(microgpt("import", "weights.json", *options, "--model", "ours"))
    assert said.startswith(problem)
    assert not (tmp_path / "ours").exists()


def test_a_refused_checkpoint_leaves_the_old_model(microgpt, text_model, tmp_path) -> None:
    before = {path.name: path.read_bytes() for path in Path(text_model).iterdir()}
    (tmp_path / "bad.pt").write_bytes(b"PK\3\4 and nothing else")
    problem = refused(microgpt("import", "bad.pt", "--model", text_model, "--force"))
    assert problem.startswith("bad.pt is a pickle, as torch.save writes it, which can run code")
    assert {path.name: path.read_bytes() for path in Path(text_model).iterdir()} == before


def test_an_import_of_a_text_file_gives_an_error_that_names_it(microgpt, weights) -> None:
    options = ("--n-head", "2", "--data", "names.txt", "--model", "ours")
    problem = refused(microgpt("import", "names.txt", *options))
    assert problem == "names.txt: invalid JSON: expected value at line 1 column 1"


def test_an_import_does_not_replace_its_own_checkpoint(microgpt, tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    before = {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}
    problem = refused(microgpt("import", "theirs", "--model", "./theirs", "--force"))
    assert problem == "theirs is the checkpoint itself; use another directory with --model"
    assert {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()} == before
