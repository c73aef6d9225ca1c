import json
import os
import re
from pathlib import Path

import pytest
from commands import ok, refused

from microgpt import load

SHAPE = ("--n-embd", "16", "--n-layer", "1", "--block-size", "16")
TRAIN = ("train", "--input", "names.txt", *SHAPE, "--num-samples", "0", "--steps")


@pytest.fixture(scope="module")
def trained(prepare) -> Path:
    """A directory with names and a model, beside which the user has kept a picture."""
    folder = prepare("anna\nemma\n", (*TRAIN[3:], "1234"))
    (folder / "output" / "mine.png").touch()
    return folder


@pytest.fixture
def model(folder: Path) -> Path:
    """The directory of a copy of the model."""
    return folder / "output"


def test_train_refuses_to_replace_another_model(microgpt, model) -> None:
    before = {name: (model / name).read_bytes() for name in os.listdir(model)}
    assert re.fullmatch(
        r"output has a model \(1,234 steps, loss \d\.\d{4} training\); "
        r"use another directory with --model names, or replace the model with --force",
        refused(microgpt(*TRAIN, "1234")),
    )
    assert {name: (model / name).read_bytes() for name in os.listdir(model)} == before


@pytest.mark.parametrize(
    ("file", "option"),
    [("my towns.txt", "--model 'my towns'"), ("-a.txt", "--model ./-a"), ("taken.txt", "--model")],
)
def test_the_suggested_directory_is_named_after_the_data(microgpt, model, file, option) -> None:
    (model.parent / file).write_text("Linz\n")
    (model.parent / "taken").touch()
    train = ("train", f"--data={file}", *SHAPE, "--steps", "2")
    assert f"directory with {option}, or replace" in refused(microgpt(*train))


def test_a_model_with_a_damaged_description_is_not_replaced(microgpt, model) -> None:
    (model / "meta.json").write_text("{")
    assert "output has a model; use" in refused(microgpt(*TRAIN, "2"))


SHAPE_OF_MOONBASE = {"vocab_size": 300, "n_embd": 8, "n_head": 4, "n_layer": 1, "block_size": 16}
MOONBASE = ("meta.json", "tokenizer.json", "weights.safetensors", "optimizer_m.safetensors")


@pytest.mark.parametrize("files", [MOONBASE, ["tokenizer.json"]])
def test_files_of_another_program_are_not_replaced(microgpt, text_model, tmp_path, files) -> None:
    (tmp_path / "names.txt").write_text("anna\nemma\n")
    for file in files:
        (tmp_path / "mb" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "mb" / file).write_text(json.dumps(SHAPE_OF_MOONBASE))
    for command in (
        ("export", text_model, "--output", "mb"),
        (*TRAIN, "2", "--model", "mb"),
    ):
        line = refused(microgpt(*command))
        assert line.startswith(f"mb has {files[0]}") or "checkpoint of MoonBase" in line
    assert microgpt("list", "mb").stdout == ""
    assert sorted(os.listdir(tmp_path / "mb")) == sorted(files)
    assert {path.read_text() for path in (tmp_path / "mb").iterdir()} == {
        json.dumps(SHAPE_OF_MOONBASE)
    }


@pytest.mark.slow
def test_a_default_training_run_replaces_only_its_own_model(microgpt, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/names.txt").write_text("anna\nemma\n")
    ok(microgpt("train"))
    ok(microgpt("train", "--num-samples", "1"))
    assert "use another" in refused(microgpt("train", "--steps", "1000"))
    (tmp_path / "data/names.txt").write_text("anna\nemmy\n")
    assert "use another" in refused(microgpt("train"))
    ok(microgpt("train", "--force", "--steps", "2"))
    assert "use another" in refused(microgpt("train"))


def test_export_does_not_replace_another_model(microgpt, model, text_model) -> None:
    onto = ("export", "--model", text_model, "--output")
    assert "(1,234 steps, loss " in refused(microgpt(*onto, model))
    for output in ("copy", "copy", text_model, model):
        force = ["--force"] if output == model else []
        ok(microgpt(*onto, output, *force))
    assert load(model).weights == load(text_model).weights
