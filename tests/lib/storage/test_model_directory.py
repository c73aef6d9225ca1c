import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_files import edit
from model_shapes import shapes
from safetensors.numpy import save as save_arrays
from trainings import subword_model

from microgpt import BpeTokenizer, CharTokenizer, ModelConfig, TrainConfig, load, save
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.errors import CheckpointError, ConfigError
from microgpt.model import weight_shapes
from microgpt.storage.checkpoint import TrainingDirectory
from microgpt.storage.model_directory import model_sources
from microgpt.training.train import train
from microgpt.training_state import TrainResult

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=25)
@given(st.data())
def test_a_saved_model_is_loaded_exactly(tmp_path_factory, data) -> None:
    is_chat = data.draw(st.booleans())
    chars = data.draw(st.sets(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3))
    tokenizer = CharTokenizer(sorted(chars), is_chat=is_chat)
    shape = data.draw(shapes(max_head_dim=2, max_block_size=3))
    model = replace(shape, vocab_size=tokenizer.vocab_size)
    numbers = data.draw(st.lists(FLOATS, min_size=5, max_size=5))
    weights = {
        name: tuple(tuple(numbers[(i + j) % 5] for j in range(columns)) for i in range(rows))
        for name, (rows, columns) in weight_shapes(model).items()
    }
    directory = tmp_path_factory.mktemp("round") / "trip"
    made = {"model": model, "weights": weights, "tokenizer": tokenizer, "dtype": "float64"}
    save(replace(RESULT, **made), directory)
    loaded = load(directory)
    assert loaded.model == model
    assert loaded.tokenizer.chars == tokenizer.chars
    assert loaded.tokenizer.is_chat == is_chat
    assert loaded.weights == weights


@pytest.mark.compiled
def test_saved_metadata_describes_the_model_and_its_training(text_model, text_result) -> None:
    meta = json.loads((text_model / "meta.json").read_text())
    seed_keys = ["vocab_size", "n_embd", "n_head", "n_layer", "block_size", "chars"]
    assert list(meta)[:6] == seed_keys
    assert "special_tokens" not in meta
    assert (meta["dtype"], meta["tokenizer"], meta["n_ff_exp"]) == ("float32", "char", 4)
    assert meta["created_by"] == "microgpt 0.1.0"
    training = meta["training"]
    assert (training["seed"], training["steps"], training["n_docs"]) == (42, 30, 4)
    assert training["train_loss"] == pytest.approx(sum(text_result.losses) / 30, rel=1e-14)
    assert training["data_sha256"] == text_result.plan.data.sha256


@pytest.mark.compiled
def test_the_training_loss_is_a_mean_over_the_last_100_steps(tmp_path: Path) -> None:
    result = train(["anna", "emma"], config=TrainConfig(steps=250))
    save(result, tmp_path / "model")
    expected = sum(result.losses[150:]) / 100
    train_loss = load(tmp_path / "model").meta.training["train_loss"]
    assert train_loss == pytest.approx(expected, rel=1e-14)


def test_without_a_record_a_model_loads_but_its_data_is_unknown(text_model, text_result) -> None:
    edit(text_model / "meta.json", training=None, weights_sha256=None)
    weights = json.loads((text_model / "weights.json").read_text())
    (text_model / "weights.json").write_text(json.dumps(dict(reversed(weights.items()))))
    assert load(text_model).weights == text_result.weights
    assert load(text_model).trained_on == (None,)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"n_embd": None}, r"meta\.json: n_embd: field required"),
        ({"n_head": 3}, r"meta\.json: n_embd \(16\) must be divisible by n_head \(3\)"),
        ({"vocab_size": 99}, r"vocab_size is 99, but there are 7 characters and special"),
        ({"chars": ["a", "a"]}, "'a' is in the vocabulary twice"),
        ({"special_tokens": ["bos"]}, r"special_tokens\[0\]: input should be 'user', got 'bos'"),
        ({"format_version": 2, "n_embd": "wide"}, "format_version is 2, .* reads only 1; use the"),
        ({"tokenizer": "words"}, "tokenizer: input should be 'char' or 'bpe', got 'words'"),
        ({"n_layer": 2}, r"layer1\.attn_wq is 0 × 16, not 16 × 16"),
        ({"n_layer": 10**9}, r"meta\.json: the model needs [\d,]+ bytes of memory"),
        ({"positions": "rotary"}, r"meta\.json: an older microgpt .*; train it again$"),
        ({"architecture": "llama"}, "architecture must be 'karpathy' or .*, got 'llama'"),
        ({"n_ff_exp": 2}, r"does not match meta\.json: layer0\.mlp_fc1 is 64 × 16, not 32 × 16"),
    ],
)
def test_an_invalid_meta_file_is_refused(text_model: Path, changes, problem) -> None:
    edit(text_model / "meta.json", **changes)
    with pytest.raises(CheckpointError, match=problem):
        load(text_model)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"wte": [[1.0', "invalid JSON: EOF"),
        ('{"wte": [[NaN]]}', r"wte\[0\]\[0\]: input should be a finite number"),
        ('{"wte": [["1"]]}', r"wte\[0\]\[0\]: input should be a valid number, got '1'"),
        ("{}", "too few matrices"),
    ],
)
def test_a_damaged_weights_file_is_refused(text_model: Path, content, problem) -> None:
    edit(text_model / "meta.json", weights_sha256=None)
    (text_model / "weights.json").write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError, match=rf"weights\.json.*{problem}"):
        load(text_model)


def test_weights_with_ragged_or_additional_matrices_are_refused(text_model: Path) -> None:
    edit(text_model / "meta.json", weights_sha256=None)
    weights = json.loads((text_model / "weights.json").read_text())
    edit(text_model / "weights.json", wpe=[*weights["wpe"][:-1], [1.0]])
    with pytest.raises(CheckpointError, match="wpe is 16 × 1, not 16 × 16"):
        load(text_model)
    edit(text_model / "weights.json", wpe=weights["wpe"], bias=[[0.0]])
    with pytest.raises(CheckpointError, match="bias is 1 × 1, not 0 × 0"):
        load(text_model)


HOSTILE = "\x1b[2J\u202e\n" + "a" * 100_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.json", json.dumps({HOSTILE: 1}).encode()),
        ("model.safetensors", save_arrays({HOSTILE: np.zeros(1)})),
        ("meta.json", {"chars": [HOSTILE]}),
    ],
)
def test_errors_escape_and_shorten_names_from_a_model_file(text_model: Path, name, content) -> None:
    edit(text_model / "meta.json", weights_sha256=None)
    if isinstance(content, bytes):
        (text_model / "weights.json").unlink()
        (text_model / name).write_bytes(content)
    else:
        edit(text_model / name, **content)
    with pytest.raises(CheckpointError) as refusal:
        load(text_model)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize(
    "name", ["weights.json", "model.safetensors", "meta.json", "tokenizer.json"]
)
def test_a_model_with_a_pipe_in_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    weights_format = "safetensors" if name == "model.safetensors" else "json"
    save(BPE, tmp_path, weights_format=weights_format)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(CheckpointError, match=f"{name}: not a regular file"):
        load(tmp_path)


def test_weights_changed_after_saving_are_refused(text_model: Path) -> None:
    weights = json.loads((text_model / "weights.json").read_text())
    weights["wte"][0][0] += 1e-9
    (text_model / "weights.json").write_text(json.dumps(weights))
    with pytest.raises(CheckpointError, match=r"weights\.json does not .*its sha256 differs"):
        load(text_model)


def test_loading_from_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file is not a directory"):
        load(tmp_path / "file")
    with pytest.raises(CheckpointError, match="does not exist"):
        load("n" * 300)
    with pytest.raises(ConfigError, match="directory contains a NUL"):
        load("a\0b")


def test_saving_replaces_only_files_of_a_model(text_model: Path, chat_result: TrainResult) -> None:
    (text_model / "notes.txt").write_text("mine")
    save(chat_result, text_model)
    assert load(text_model).tokenizer.is_chat
    new = ["documents.crc32", "meta.json", "weights.json"]
    assert sorted(os.listdir(text_model)) == sorted([*new, "notes.txt"])


def test_save_creates_parent_directories_and_obeys_the_umask(text_result, tmp_path) -> None:
    save(text_result, tmp_path / "a/b/model")
    assert os.listdir(tmp_path / "a/b") == ["model"]
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a/b/model").stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.parametrize("use", [TrainingDirectory, lambda directory: save(RESULT, directory)])
def test_an_unwritable_model_path_is_refused(tmp_path: Path, use) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    for place, problem in [
        ("file/a/model", "cannot write to .*model: Not a directory; use another"),
        ("/proc/nowhere/model", "cannot write to .*No such file"),
        ("dangling", "cannot write to .*dangling: File exists; use another"),
        ("loop", "cannot write to .*loop: .*; use another"),
        ("n" * 300, "cannot write to .*File name too long"),
    ]:
        with pytest.raises(CheckpointError, match=problem):
            use(tmp_path / place)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "mine"


RESULT = train(["ab"], model=ModelConfig(), config=TrainConfig(steps=1, engine="reference"))


BPE, OTHER_BPE = subword_model("abc"), subword_model("xyz")


@pytest.mark.parametrize("weights_format", ["json", "safetensors"])
def test_a_subword_tokenizer_is_saved_with_its_model(tmp_path: Path, weights_format) -> None:
    save(BPE, tmp_path / "model", weights_format=weights_format)
    weights = "weights.json" if weights_format == "json" else "model.safetensors"
    assert sorted(os.listdir(tmp_path / "model")) == sorted(
        ["documents.crc32", "meta.json", "tokenizer.json", weights]
    )
    meta = json.loads((tmp_path / "model/meta.json").read_text())
    assert meta["tokenizer"] == "bpe"
    assert "chars" not in meta
    loaded = load(tmp_path / "model")
    assert loaded.tokenizer.file == BPE.tokenizer.file
    assert loaded.tokenizer.encode("abcabé") == BPE.tokenizer.encode("abcabé")
    save(loaded, tmp_path / "half", weights_format="float16")
    assert load(tmp_path / "half").tokenizer.file == BPE.tokenizer.file
    assert load(tmp_path / "half").meta.tokenizer_sha256 == meta["tokenizer_sha256"]


def test_a_missing_invalid_or_mismatched_tokenizer_is_refused(tmp_path: Path) -> None:
    save(BPE, tmp_path / "model")
    file = tmp_path / "model/tokenizer.json"
    file.write_bytes(OTHER_BPE.tokenizer.file)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json does not match meta\.json"):
        load(tmp_path / "model")
    edit(tmp_path / "model/meta.json", tokenizer_sha256=None)
    assert load(tmp_path / "model").tokenizer.file == OTHER_BPE.tokenizer.file
    file.write_text("{}")
    with pytest.raises(CheckpointError, match=r"model/tokenizer\.json: not a valid tokenizer"):
        load(tmp_path / "model")
    file.write_bytes(BpeTokenizer.from_documents(["ab"], vocab_size=257).file)
    with pytest.raises(CheckpointError, match="vocab_size is 259, but there are 257 subword"):
        load(tmp_path / "model")
    file.unlink()
    with pytest.raises(CheckpointError, match=r"cannot read .*tokenizer\.json: No such file"):
        load(tmp_path / "model")


def test_a_loaded_model_lists_its_own_and_its_parents_training_data(tmp_path) -> None:
    parent = train(["anna", "nana"], model=ModelConfig(n_embd=4), config=TrainConfig(steps=1))
    child = train(["anna"], parent=parent, config=TrainConfig(steps=1))
    for name, result in (("parent", parent), ("child", child)):
        save(result, tmp_path / name)
        assert load(tmp_path / name).trained_on == result.trained_on
    assert child.trained_on == (child.plan.data, parent.plan.data)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ancestor_data": "?"}, [None]),
        ({"ancestor_data": [5, {"n_docs": "many"}]}, [None, None]),
        ({"parent_sha256": "0"}, [None]),
        ({"teachers": ["one"]}, [None]),
        ({}, []),
    ],
)
def test_only_data_of_an_ancestor_without_a_record_is_unknown(tmp_path, change, expected) -> None:
    model = train(["anna"], model=ModelConfig(n_embd=4), config=TrainConfig(steps=1))
    save(model, tmp_path)
    edit(tmp_path / "meta.json", training=change)
    assert load(tmp_path).trained_on == (model.plan.data, *expected)


@pytest.fixture
def models(text_model, tmp_path, monkeypatch) -> Path:
    """A folder of two models, names and talk, in the working directory."""
    for name in ("names", "talk"):
        shutil.copytree(text_model, tmp_path / "here/models" / name)
    monkeypatch.chdir(tmp_path / "here")
    return Path("models")


def test_models_are_named_after_their_directories_or_as_given(models) -> None:
    shutil.copytree(models / "names", "x=y")
    sources = model_sources(("x=y", "models/names", "mine=models/talk"))
    assert [*sources.items()] == [
        ("x=y", Path("x=y")),
        ("names", models / "names"),
        ("mine", models / "talk"),
    ]
    assert [*model_sources("models")] == ["names", "talk"]  # all models in the directory


def test_the_default_model_is_output_or_else_the_demo_model(models) -> None:
    assert model_sources(None) == {"demo": bundled(DEMO_MODEL)}
    shutil.copytree(models / "names", "output")
    assert model_sources(None) == {"output": Path("output")}
