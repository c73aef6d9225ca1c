"""Tests that imported models give the same results, and that unsuitable files are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from exported_files import written
from exported_models import PORTABLE, drawn_tokens, log_probabilities, saved_model
from foreign_models import moonbase

from microgpt import InferenceGpt, load, save
from microgpt.errors import CheckpointError
from microgpt.model import Gpt
from microgpt_exports.imports import import_model
from microgpt_exports.transformers_directory import TRANSFORMERS_FORMAT


@pytest.mark.parametrize("is_chat", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_moonbase_import_keeps_the_tokenizer_and_probabilities(tmp_path, is_chat, dtype) -> None:
    library, weights = moonbase(tmp_path / "theirs", is_chat=is_chat, dtype=dtype)
    save(import_model(tmp_path / "theirs"), tmp_path / "ours")
    saved = load(tmp_path / "ours")
    read = saved.tokenizer
    assert saved.meta.training == {"imported_from": "MoonBase"}
    theirs = library.encode("what is 7", add_special_tokens=False).ids
    tokens = [read.bos_id, *read.encode("what is 7")]
    n_special = 4 if is_chat else 1
    order = [*range(n_special, saved.model.vocab_size), *range(1, n_special), 0]
    gpt = Gpt(saved.model, weights)  # a model of the reference engine
    cache = gpt.new_cache()
    logits = np.array([gpt.forward(token, cache) for token in (0, *theirs)][-1])
    expected = (logits - np.logaddexp.reduce(logits))[order]
    assert np.abs(expected - [*InferenceGpt(saved).log_probabilities(tokens)][-1]).max() < 1e-5
    assert read.unknown_characters("what is 7? Z") == "Z"
    assert read.is_chat == is_chat


@pytest.mark.parametrize(
    ("dtype", "old", "new", "named"),
    [("float32", b'"F32"', b'"I32"', "int32"), ("float16", b'"F16"', b'"BF16"', "'BF16'")],
)
def test_checkpoints_with_int32_or_bfloat16_are_refused(tmp_path, dtype, old, new, named) -> None:
    moonbase(tmp_path / "theirs", dtype=dtype)
    file = tmp_path / "theirs/weights.safetensors"
    content = file.read_bytes().replace(old, new)
    n_header = int.from_bytes(content[:8], "little") + len(content) - file.stat().st_size
    file.write_bytes(n_header.to_bytes(8, "little") + content[8:])
    with pytest.raises(CheckpointError, match=f"of the type {named}; convert them to float32"):
        import_model(tmp_path / "theirs")


@pytest.mark.parametrize(
    "make", [lambda path: None, Path.mkdir, Path.touch, lambda path: path.symlink_to("/dev/zero")]
)
def test_import_refuses_a_path_without_a_checkpoint(tmp_path, make) -> None:
    make(tmp_path / "given")
    with pytest.raises(CheckpointError, match="is neither a MoonBase nor a transformers model"):
        import_model(tmp_path / "given")


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("meta.json", '"n_embd": 16', '"n_embd": 15', "n_embd .15. must be divisible by n_head"),
        ("meta.json", '"n_head": 4', '"heads": 4', "meta.json: n_head: field required"),
        ("meta.json", '"n_embd": 16', '"n_embd": 12', "lm_head is|wte is"),
        ("meta.json", '"vocab_size": ', '"vocab_size": 1', "vocab_size is 1.*, but tokenizer.json"),
        ("meta.json", '"assistant"', '"bot"', "input should be 'assistant', got 'bot'"),
        ("tokenizer.json", '"content":"<user>"', '"content":"<human>"', "first tokens must be <bo"),
        ("tokenizer.json", '"a":', '"aa":', "must be byte sequences|needs a missing token"),
    ],
)
def test_an_invalid_moonbase_directory_is_refused(tmp_path, name, old, new, problem) -> None:
    moonbase(tmp_path / "mb")
    file = tmp_path / "mb" / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(CheckpointError, match=problem):
        import_model(tmp_path / "mb")


def test_importing_a_model_of_microgpt_is_refused_as_unnecessary(tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    save(import_model(tmp_path / "theirs"), tmp_path / "ours")
    with pytest.raises(CheckpointError, match="microgpt's own models need no import"):
        import_model(tmp_path / "ours")


@pytest.mark.compiled
@pytest.mark.parametrize("tokenizer", ["names", "chat", "text"])
def test_a_model_exported_to_transformers_can_be_imported_back(tmp_path, tokenizer) -> None:
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
def test_import_refuses_unsuitable_transformers_models(tmp_path, name, old, new, problem) -> None:
    file = written(TRANSFORMERS_FORMAT, saved_model(**PORTABLE), tmp_path, "there") / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(CheckpointError, match=problem) as refusal:
        import_model(tmp_path / "there")
    assert str(refusal.value).startswith(str(tmp_path / "there"))
    assert str(refusal.value).isprintable()


def test_importing_a_trained_transformers_model_needs_a_receipt(tmp_path) -> None:
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
