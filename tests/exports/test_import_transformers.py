"""Directories of transformers, of models that have been exported and perhaps trained since then."""

import json

import numpy as np
import pytest
from exported_files import written
from exported_models import PORTABLE, drawn_tokens, log_probabilities, saved_model

from microgpt import load, save
from microgpt.errors import CheckpointError
from microgpt_exports.imports import import_model
from microgpt_exports.transformers_directory import TRANSFORMERS_FORMAT


@pytest.mark.parametrize("tokenizer", ["names", "chat", "text"])
def test_an_exported_model_can_be_imported_again(tmp_path, tokenizer) -> None:
    saved = saved_model(tokenizer, **PORTABLE)
    written(TRANSFORMERS_FORMAT, saved, tmp_path, "there")
    save(import_model(tmp_path / "there"), tmp_path / "back")
    back = load(tmp_path / "back")
    tokens = drawn_tokens(saved, 100)
    ours, theirs = (log_probabilities(each, tokens) for each in (back, saved))
    assert np.abs(ours - theirs).max() < 1e-4
    assert back.tokenizer.names == saved.tokenizer.names
    assert type(back.tokenizer) is type(saved.tokenizer)
    assert back.meta.training == {"imported_from": "transformers"}


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("config.json", '"apertus"', '"gpt2"', "a model of type 'gpt2' does not fit"),
        ("config.json", "{", "[{", "config.json: not valid JSON"),
        ("config.json", '"xielu"', '"gelu"', "hidden_act is 'gelu'"),
        ("config.json", '"num_key_value_heads": 4', '"num_key_value_heads": 2', "num_key_value"),
        ("config.json", '"num_attention_heads": 4', '"num_attention_heads": 6', "must be 4"),
        ("config.json", '"rope_type": "default"', '"rope_type": "llama3"', "rope_parameters is"),
        ("config.json", '"num_attention_heads": 4', '"heads": 4', "num_attention_heads is None"),
        ("receipt.json", '"n_head": 4', '"n_head": 3', "n_embd .16. must be divisible by n_head"),
        ("receipt.json", '"n_embd": 16', '"n_embd": 2147483640', "fewer weights than its receipt"),
        ("receipt.json", '"n_ff_exp": 4', '"n_ff_exp": 3', "intermediate_size is 64; it must"),
        ("receipt.json", '"chars": ["a"', '"chars": ["ab"', "'ab' is not a single character"),
    ],
)
def test_a_transformers_model_of_another_type_is_refused(tmp_path, name, old, new, problem) -> None:
    file = written(TRANSFORMERS_FORMAT, saved_model(**PORTABLE), tmp_path, "there") / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(CheckpointError, match=problem) as refusal:
        import_model(tmp_path / "there")
    assert str(refusal.value).startswith(str(tmp_path / "there"))
    assert str(refusal.value).isprintable()


def test_a_model_trained_in_transformers_can_be_imported(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    saved = saved_model("chat", **PORTABLE)
    written(TRANSFORMERS_FORMAT, saved, tmp_path, "there")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "there")
    for weight in model.parameters():
        weight.requires_grad_(weight.ndim == 2)
    torch.manual_seed(0)
    tokens = torch.randint(0, saved.model.vocab_size, (80, 32))
    facts = {"max_steps": 10, "learning_rate": 0.01, "use_cpu": True, "report_to": []}
    settings = transformers.TrainingArguments(
        output_dir=str(tmp_path / "runs"), save_strategy="no", disable_tqdm=True, **facts
    )
    rows = [{"input_ids": row, "labels": row} for row in tokens]
    transformers.Trainer(model=model, args=settings, train_dataset=rows).train()
    model.save_pretrained(tmp_path / "trained")
    with pytest.raises(CheckpointError, match=r"with the receipt\.json of the export"):
        import_model(tmp_path / "trained")
    (tmp_path / "there/receipt.json").rename(tmp_path / "trained/receipt.json")
    back = import_model(tmp_path / "trained")
    with torch.no_grad():
        theirs = model(tokens[:1]).logits[0].double().log_softmax(-1).numpy()
    ours, before = (log_probabilities(each, tokens[0].tolist()) for each in (back, saved))
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.abs(ours - before).max() > 0.1
    assert json.loads((tmp_path / "trained/config.json").read_text())["model_type"] == "apertus"
