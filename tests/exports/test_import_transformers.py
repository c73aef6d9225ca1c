"""Directories of transformers, of models that have been exported and perhaps trained since then."""

import json
from pathlib import Path

import numpy as np
import pytest
from exported_models import PORTABLE, drawn_tokens, log_probabilities, saved_model
from safetensors.numpy import load_file, save_file

from microgpt import load, save
from microgpt.errors import CheckpointError
from microgpt.storage.saved_model import SavedModel
from microgpt_exports.imports import import_model
from microgpt_exports.transformers_directory import RECEIPT, encode_transformers


def apertus(directory: Path, saved: SavedModel) -> dict[str, np.ndarray]:
    """Write a directory as transformers does after a training run; return its tensors."""
    directory.mkdir()
    for name, content in encode_transformers(saved).items():
        if name != RECEIPT:
            (directory / name).write_bytes(content)
    return load_file(directory / "model.safetensors")


@pytest.mark.parametrize("tokenizer", ["names", "chat", "text"])
def test_an_exported_model_can_be_imported_again(tmp_path, tokenizer) -> None:
    saved = saved_model(tokenizer, **PORTABLE)
    apertus(tmp_path / "there", saved)
    save(import_model(tmp_path / "there"), tmp_path / "back")
    back = load(tmp_path / "back")
    tokens = drawn_tokens(saved, 100)
    ours, theirs = (log_probabilities(each, tokens) for each in (back, saved))
    assert np.abs(ours - theirs).max() < 1e-4
    assert back.tokenizer.names == saved.tokenizer.names
    assert type(back.tokenizer) is type(saved.tokenizer)
    assert back.meta.training == {"imported_from": "transformers"}


TOO_LARGE = f'"hidden_size": 0.5, "intermediate_size": 1{"0" * 400}'


def change(directory: Path, name: str, old: str, new: str) -> None:
    text = (directory / name).read_text()
    assert old in text
    (directory / name).write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("config.json", '"apertus"', '"gpt2"', "a model of type 'gpt2' does not fit"),
        ("config.json", "{", "[{", "config.json is not valid JSON"),
        ("config.json", '"xielu"', '"gelu"', "hidden_act is 'gelu'"),
        ("config.json", '"num_key_value_heads": 4', '"num_key_value_heads": 2', "num_key_value"),
        ("config.json", '"num_hidden_layers": 2', '"num_hidden_layers": 2147483647', "layers are"),
        ("config.json", '"vocab_size": 27', '"vocab_size": 28', "tokenizer.json has 27 tokens"),
        ("config.json", '"hidden_size": 16', '"hidden_size": "a"', "config.json"),
        ("config.json", '"intermediate_size": ', TOO_LARGE, "too large to convert to float"),
        ("tokenizer.json", "<|bos|>", "<s>", "the special tokens are not those of microgpt"),
        ("tokenizer.json", '"a": 0', '"ab": 0', "'ab' is not a single character"),
    ],
)
def test_a_transformers_model_of_another_type_is_refused(tmp_path, name, old, new, problem) -> None:
    apertus(tmp_path / "there", saved_model(**PORTABLE))
    change(tmp_path / "there", name, old, new)
    with pytest.raises(CheckpointError, match=problem) as refusal:
        import_model(tmp_path / "there")
    assert str(refusal.value).startswith(str(tmp_path / "there"))
    assert str(refusal.value).isprintable()


def test_the_error_names_trained_gains_that_are_unsupported(tmp_path) -> None:
    tensors = apertus(tmp_path / "there", saved_model(**PORTABLE))
    name = "model.layers.1.self_attn.q_norm.weight"
    save_file(tensors | {name: tensors[name] + 0.01}, tmp_path / "there/model.safetensors")
    with pytest.raises(CheckpointError, match=r"q_norm has gains other than 1\.2; do not train"):
        import_model(tmp_path / "there")


def test_a_model_trained_in_transformers_can_be_imported(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    saved = saved_model("chat", **PORTABLE)
    apertus(tmp_path / "there", saved)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "there")
    for name, weight in model.named_parameters():
        weight.requires_grad_("_norm." not in name)
    torch.manual_seed(0)
    tokens = torch.randint(0, saved.model.vocab_size, (80, 32))
    facts = {"max_steps": 10, "learning_rate": 0.01, "use_cpu": True, "report_to": []}
    settings = transformers.TrainingArguments(
        output_dir=str(tmp_path / "runs"), save_strategy="no", disable_tqdm=True, **facts
    )
    rows = [{"input_ids": row, "labels": row} for row in tokens]
    transformers.Trainer(model=model, args=settings, train_dataset=rows).train()
    model.save_pretrained(tmp_path / "trained")
    (tmp_path / "there/tokenizer.json").rename(tmp_path / "trained/tokenizer.json")
    back = import_model(tmp_path / "trained")
    with torch.no_grad():
        theirs = model(tokens[:1]).logits[0].double().log_softmax(-1).numpy()
    ours, before = (log_probabilities(each, tokens[0].tolist()) for each in (back, saved))
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.abs(ours - before).max() > 0.1
    assert json.loads((tmp_path / "trained/config.json").read_text())["model_type"] == "apertus"
