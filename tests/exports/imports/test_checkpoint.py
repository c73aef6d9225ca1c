"""Checkpoints of other programs: those that fit compute the same, others are refused."""

import json
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_models import moonbase
from safetensors.numpy import save_file

from microgpt import CharTokenizer, InferenceGpt, Message, ModelConfig, load, save
from microgpt.errors import CheckpointError, ConfigError
from microgpt.model import Gpt, init_weights
from microgpt_exports.imports.checkpoint import import_model

NAMES = CharTokenizer("abcdefgh")
SCRIPT = ModelConfig(n_embd=8, n_head=2, n_layer=2, block_size=8, n_ff_exp=3, vocab_size=9)
NANOGPT = (
    "transformer.wte.weight",
    "transformer.wpe.weight",
    "transformer.h.0.ln_1.weight",
    "transformer.h.0.attn.c_attn.weight",
    "transformer.h.0.mlp.c_fc.weight",
    "lm_head.weight",
)


def script_weights() -> dict[str, list[list[float]]]:
    return init_weights(SCRIPT, random.Random(1))


def as_tuples(weights: dict[str, list[list[float]]]) -> dict[str, tuple[tuple[float, ...], ...]]:
    return {name: tuple(map(tuple, rows)) for name, rows in weights.items()}


def log_probabilities(config: ModelConfig, weights: Any, tokens: list[int]) -> np.ndarray:
    """Return what the readable engine computes after the last token."""
    gpt = Gpt(config, weights)
    cache = gpt.new_cache()
    logits = np.array([gpt.forward(token, cache) for token in tokens][-1])
    return logits - np.logaddexp.reduce(logits)


@pytest.mark.parametrize("is_chat", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_moonbase_model_gives_the_same_log_probabilities(tmp_path, is_chat, dtype) -> None:
    library, weights = moonbase(tmp_path / "theirs", is_chat=is_chat, dtype=dtype)
    save(import_model(tmp_path / "theirs"), tmp_path / "ours")
    saved = load(tmp_path / "ours")
    read = saved.tokenizer
    assert saved.meta.training == {"imported_from": "MoonBase"}
    theirs = library.encode("what is 7", add_special_tokens=False).ids
    tokens = [read.bos_id, *read.encode("what is 7")]
    n_special = 4 if is_chat else 1
    order = [*range(n_special, saved.model.vocab_size), *range(1, n_special), 0]
    expected = log_probabilities(saved.model, weights, [0, *theirs])[order]
    row = [*InferenceGpt(saved).log_probability_rows(tokens)][-1]
    assert np.abs(expected - row).max() < 1e-5
    assert read.unknown_characters("what is 7? Z") == "Z"
    assert read.is_chat == is_chat


def test_an_imported_moonbase_chat_model_can_chat(tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    gpt = InferenceGpt(import_model(tmp_path / "theirs"))
    reply = gpt.chat([Message("user", "what is 3 plus 4? Z")], max_tokens=5)
    assert reply.unknown_characters == "Z"


def test_moonbase_in_bfloat16_is_read_as_float32(tmp_path) -> None:
    _, weights = moonbase(tmp_path / "theirs")
    file = tmp_path / "theirs/weights.safetensors"
    header: dict[str, Any] = {}
    data = b""
    for name, rows in weights.items():
        halves = (np.array(rows, "<f4").view("<u4") >> 16).astype("<u2")
        end = len(data) + halves.nbytes
        header[name] = {"dtype": "BF16", "shape": halves.shape, "data_offsets": [len(data), end]}
        data += halves.tobytes()
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data)
    saved = import_model(tmp_path / "theirs")
    wq = np.array(saved.weights["layer0.attn_wq"])
    expected = (np.array(weights["layer0.attn_wq"], "<f4").view("<u4") & 0xFFFF0000).view("<f4")
    assert (wq == expected).all()


@pytest.mark.parametrize("name", ["weights.json", "weights.safetensors"])
def test_weights_of_karpathys_script_are_imported_exactly(tmp_path, name) -> None:
    weights = script_weights()
    if name.endswith("json"):
        (tmp_path / name).write_text(json.dumps(weights))
    else:
        save_file({key: np.array(rows) for key, rows in weights.items()}, tmp_path / name)
    save(import_model(tmp_path / name, n_head=2, tokenizer=NAMES), tmp_path / "ours")
    saved = load(tmp_path / "ours")
    assert (saved.model, saved.weights, saved.dtype) == (SCRIPT, as_tuples(weights), "float64")
    expected = log_probabilities(SCRIPT, weights, [8, 0, 1])
    row = [*InferenceGpt(saved).log_probability_rows([8, 0, 1])][-1]
    assert np.abs(expected - row).max() < 1e-5


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"wpe": None}, "does not match Karpathy's script: wpe is missing"),
        ({"wte": []}, "does not match Karpathy's script: wte is empty"),
        ({"layer1.attn_wq": None}, "layer1.attn_wq is missing"),
        ({"layer0.attn_wk": [[0.0] * 8] * 7}, "layer0.attn_wk is 7 × 8, not 8 × 8"),
        ({"layer0.attn_wk": [[0.0]] * 8}, "layer0.attn_wk is 8 × 1, not 8 × 8"),
        ({"layer0.mlp_fc1": [[0.0] * 8] * 9}, r"hidden width of the MLP \(9\) is no multiple of"),
        ({"bias": [[0.0]]}, "bias is unexpected"),
        ({"wte": [[0.0] * 8] * 5, "lm_head": [[0.0] * 8] * 5}, "has 5 tokens, but the text has 9"),
    ],
)
def test_the_error_for_unsuitable_weights_says_what_is_wrong(tmp_path, change, problem) -> None:
    weights = script_weights() | change
    file = tmp_path / "weights.json"
    file.write_text(json.dumps({name: rows for name, rows in weights.items() if rows is not None}))
    with pytest.raises(CheckpointError, match=problem):
        import_model(file, n_head=2, tokenizer=NAMES)


def test_weights_in_a_file_require_n_head_and_a_vocabulary(tmp_path) -> None:
    file = tmp_path / "weights.json"
    file.write_text(json.dumps(script_weights()))
    with pytest.raises(ConfigError, match="does not say the number of attention heads; add --n-h"):
        import_model(file, tokenizer=NAMES)
    with pytest.raises(ConfigError, match="has no vocabulary; add --data"):
        import_model(file, n_head=2)
    with pytest.raises(ConfigError, match=r"n_embd \(8\) must be divisible by n_head \(3\)"):
        import_model(file, n_head=3, tokenizer=NAMES)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (NANOGPT, "of nanoGPT, minGPT, makemore or GPT-2, .*: it has GELU, LayerNorm, and no RMSN"),
        ((*NANOGPT, "transformer.h.0.attn.bias"), "it has GELU"),
        ((*NANOGPT, "transformer.h.0.mlp.c_fc.bias"), "it has biases, GELU"),
        (("h.0.attn.c_attn.weight", "h.0.ln_1.bias"), "it has biases, GELU"),
        (["transformer.h.0.attn.c_q.weight"], "nanochat or modded-nanogpt, .*: it has logits that"),
        (["model.layers.0.mlp.gate_proj.weight"], "the Llama family, .*: it has a gated MLP"),
        (["model.layers.0.mlp.act_fn.alpha_p"], "import the directory"),
    ],
)
def test_the_error_for_another_architecture_names_the_difference(tmp_path, names, problem) -> None:
    file = tmp_path / "model"
    save_file({name: np.zeros((2, 2), "bool") for name in names}, file)
    with pytest.raises(CheckpointError, match=problem) as refusal:
        import_model(file)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_the_names_of_modules_of_torch_are_shortened(tmp_path, prefix) -> None:
    found = {f"{prefix}{k}.weight": np.array(v, "f4") for k, v in script_weights().items()}
    save_file(found, tmp_path / "model")
    saved = import_model(tmp_path / "model", n_head=2, tokenizer=NAMES)
    assert (np.array(saved.weights["wte"], "f4") == found[f"{prefix}wte.weight"]).all()


class Runs:
    """A pickle of it runs a command."""

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, ("touch hostile",)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_pickle_is_refused_and_runs_no_code(tmp_path, monkeypatch, is_zip) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"wte": Runs()}, 2)
    Path("model.pt").write_bytes(data)
    if is_zip:
        with zipfile.ZipFile("model.pt", "w") as archive:
            archive.writestr("archive/data.pkl", data)
    with pytest.raises(CheckpointError, match="is a pickle, as torch"):
        import_model("model.pt")
    assert not Path("hostile").exists()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "cannot read .*: No such file"),
        (lambda path: path.mkdir(), "has no checkpoint that `microgpt import` reads"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: path.write_bytes(b"mine"), "invalid JSON"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    ],
)
def test_a_path_without_a_checkpoint_is_refused(tmp_path, make, problem) -> None:
    make(tmp_path / "given")
    with pytest.raises(CheckpointError, match=problem):
        import_model(tmp_path / "given", **({} if (tmp_path / "given").is_dir() else {"n_head": 2}))


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("meta.json", '"n_embd": 16', '"n_embd": 15', "n_embd .15. must be divisible by n_head"),
        ("meta.json", '"n_embd": 16', '"n_embd": 12', "lm_head is|wte is"),
        ("meta.json", '"vocab_size": ', '"vocab_size": 1', "vocab_size is 1.*, but tokenizer.json"),
        ("meta.json", '"assistant"', '"bot"', "special_tokens must be"),
        ("meta.json", '"n_embd": 16', '"n_embd": null', "n_embd: input should be a valid integer"),
        ("tokenizer.json", '"content":"<user>"', '"content":"<human>"', "first tokens must be <bo"),
        ("tokenizer.json", '"normalizer":null', '"normalizer":{}', "unsupported tokenizer: normal"),
        ("tokenizer.json", '"added_tokens":', '"added":', "added_tokens: field required"),
        ("tokenizer.json", '"a":', '"aa":', "must be byte sequences|needs a missing token"),
    ],
)
def test_an_unsuitable_moonbase_directory_is_refused(tmp_path, name, old, new, problem) -> None:
    moonbase(tmp_path / "mb")
    file = tmp_path / "mb" / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(CheckpointError, match=problem):
        import_model(tmp_path / "mb")


def test_a_model_directory_needs_no_import(tmp_path) -> None:
    moonbase(tmp_path / "theirs")
    save(import_model(tmp_path / "theirs"), tmp_path / "ours")
    with pytest.raises(ConfigError, match="needs no import: every command reads it"):
        import_model(tmp_path / "ours")
    with pytest.raises(ConfigError, match="is a directory, which describes its model"):
        import_model(tmp_path / "theirs", n_head=2)
