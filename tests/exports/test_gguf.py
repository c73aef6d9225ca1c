import random
from pathlib import Path

import numpy as np
import pytest
from apertus_model import forward
from exported_models import (
    PORTABLE,
    TOKENIZERS,
    drawn_shape,
    drawn_tokens,
    log_probabilities,
    saved_model,
)

from microgpt import BpeTokenizer
from microgpt.errors import ConfigError, TokenizerError
from microgpt.storage.saved_model import SavedModel
from microgpt_exports.comparison import compare
from microgpt_exports.foreign_tokenizer import foreign_tokenizer
from microgpt_exports.gguf_file import (
    TENSORS,
    LlamaSession,
    encode_gguf,
    encode_modelfile,
    read_gguf,
)


def written(saved: SavedModel, folder: Path) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(encode_gguf(saved, "model"))
    return path


def contents(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the metadata and the tensors of a file, as llama.cpp's own package reads them."""
    from gguf import GGUFReader

    reader = GGUFReader(path)
    fields = {name: each.contents() for name, each in reader.fields.items()}
    return fields, {each.name: np.array(each.data) for each in reader.tensors}


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_gguf_file_gives_the_same_log_probabilities(tokenizer, tmp_path) -> None:
    saved = saved_model(tokenizer, block_size=64, **PORTABLE)
    fields, tensors = contents(written(saved, tmp_path))
    back = {ours: theirs for theirs, ours in TENSORS.items()}
    named = {}
    for name, tensor in tensors.items():
        parts = name.removesuffix(".weight").split(".")
        prefix = f"model.layers.{parts[1]}." if parts[0] == "blk" else ""
        named[f"{prefix}{back[parts[-1]]}.weight"] = tensor
    for layer in range(fields["apertus.block_count"]):
        for each in ("alpha_p", "alpha_n", "beta", "eps"):
            named[f"model.layers.{layer}.mlp.act_fn.{each}"] = np.array(fields[f"xielu.{each}"])
    tokens = drawn_tokens(saved, 64)
    found = forward(named, fields["apertus.attention.head_count"], tokens)
    assert np.abs(found - log_probabilities(saved, tokens)).max() < 1e-5
    assert fields["apertus.rope.freq_base"] == 10_000
    assert fields["apertus.context_length"] == 64


def test_a_gguf_file_has_special_tokens_and_a_chat_template(tmp_path) -> None:
    fields, _ = contents(written(saved_model("chat", **PORTABLE), tmp_path))
    tokens = fields["tokenizer.ggml.tokens"]
    assert tokens[-4:] == ["<|user|>", "<|assistant|>", "<|end_turn|>", "<|bos|>"]
    assert fields["tokenizer.ggml.token_type"][-5:] == [1, 3, 3, 3, 3]
    assert tokens[fields["tokenizer.ggml.bos_token_id"]] == "<|bos|>"
    assert tokens[fields["tokenizer.ggml.eos_token_id"]] == "<|end_turn|>"
    assert "<|assistant|>" in fields["tokenizer.chat_template"]
    assert fields["general.name"] == "model"
    assert fields["general.architecture"] == "apertus"


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_the_receipt_of_a_gguf_file_can_be_read_back(tokenizer, tmp_path) -> None:
    saved = saved_model(tokenizer, **PORTABLE)
    path = written(saved, tmp_path)
    receipt = read_gguf(path)
    assert receipt.model == saved.model
    assert receipt.model_sha256 == saved.sha256
    assert written(saved, tmp_path).read_bytes() == encode_gguf(saved, "model")


def test_a_modelfile_contains_the_prompt_template() -> None:
    lines = encode_modelfile(saved_model("chat", **PORTABLE), "my model.gguf").decode().splitlines()
    assert lines[0] == "FROM ./my model.gguf"
    assert lines[1] == (
        'TEMPLATE """{{ range .Messages }}{{ if eq .Role "user" }}<|user|>{{ .Content }}'
        '<|end_turn|>{{ else if eq .Role "assistant" }}<|assistant|>{{ .Content }}<|end_turn|>'
        '{{ end }}{{ end }}<|assistant|>"""'
    )
    assert lines[-1] == 'PARAMETER stop "<|end_turn|>"'
    text = encode_modelfile(saved_model(**PORTABLE), "names.gguf").decode()
    assert 'TEMPLATE """{{ .Prompt }}"""' in text


def test_other_architectures_and_plug_ins_are_refused() -> None:
    with pytest.raises(ConfigError, match="architecture modern; train a student"):
        encode_gguf(saved_model(architecture="modern"), "model")
    with pytest.raises(ConfigError, match="at most 512 layers, not 513; use --format html"):
        encode_gguf(saved_model(n_layer=513, n_embd=2, n_head=1, **PORTABLE), "model")
    saved = saved_model("chat", **PORTABLE)
    known = saved.meta.model_copy(update={"extra": {"characters": {}}})
    with pytest.raises(ConfigError, match="a plug-in chooses what the model reads"):
        encode_gguf(SavedModel(saved.model, saved.weights, saved.tokenizer, "float32", known), "m")


def test_a_piece_with_the_name_of_a_special_token_is_refused() -> None:
    file = TOKENIZERS["text"].file
    assert file
    piece = '"<|bos|>": 279,\n      "!": 0,'
    other = BpeTokenizer(file.replace(b'"!": 0,', piece.encode()), is_chat=False)
    with pytest.raises(TokenizerError, match=r"has <\|bos\|>, which is a special token"):
        foreign_tokenizer(other)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_llama_cpp_reproduces_the_receipt_of_a_random_model(seed, tmp_path) -> None:
    pytest.importorskip("llama_cpp")
    shape = drawn_shape(seed)
    shape |= {"n_embd": 2 * shape["n_embd"], **PORTABLE}
    tokenizer = random.Random(seed).choice([*TOKENIZERS])
    path = written(saved_model(tokenizer, seed=seed, **shape), tmp_path)
    receipt = read_gguf(path)
    found = compare(receipt, LlamaSession(path))
    assert found.largest < 1e-4
    assert found.passes(receipt)
