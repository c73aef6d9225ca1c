import json
import struct
from pathlib import Path

import numpy as np
import pytest
from apertus_model import forward
from exported_files import refusal, written
from exported_models import PORTABLE, TOKENIZERS, drawn_tokens, log_probabilities, saved_model

from microgpt import BpeTokenizer
from microgpt.errors import ConfigError, TokenizerError
from microgpt_exports.foreign_tokenizer import foreign_tokenizer
from microgpt_exports.format import IN_FILE
from microgpt_exports.gguf_file import GGUF_FORMAT, TENSORS


def contents(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the metadata and the tensors of a GGUF file, read by llama.cpp's package `gguf`."""
    from gguf import GGUFReader

    reader = GGUFReader(path)
    fields = {name: each.contents() for name, each in reader.fields.items()}
    return fields, {each.name: np.array(each.data) for each in reader.tensors}


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_tensors_and_metadata_of_a_gguf_file_reproduce_the_model(tokenizer, tmp_path) -> None:
    saved = saved_model(tokenizer, block_size=64, **PORTABLE)
    fields, tensors = contents(written(GGUF_FORMAT, saved, tmp_path))
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
    assert fields["general.architecture"] == "apertus"


def test_a_gguf_file_has_special_tokens_and_a_chat_template(tmp_path) -> None:
    fields, _ = contents(written(GGUF_FORMAT, saved_model("chat", **PORTABLE), tmp_path))
    tokens = fields["tokenizer.ggml.tokens"]
    assert tokens[-4:] == ["<|user|>", "<|assistant|>", "<|end_turn|>", "<|bos|>"]
    assert fields["tokenizer.ggml.token_type"][-5:] == [1, 3, 3, 3, 3]
    assert tokens[fields["tokenizer.ggml.bos_token_id"]] == "<|bos|>"
    assert tokens[fields["tokenizer.ggml.eos_token_id"]] == "<|end_turn|>"
    assert "<|assistant|>" in fields["tokenizer.chat_template"]


def test_gguf_export_refuses_the_modern_architecture(tmp_path) -> None:
    with pytest.raises(ConfigError, match="architecture modern; train a student"):
        written(GGUF_FORMAT, saved_model(architecture="modern"), tmp_path)


def test_a_subword_with_the_name_of_a_special_token_is_refused() -> None:
    file = TOKENIZERS["text"].file
    assert file
    piece = '"<|bos|>": 279,\n      "!": 0,'
    other = BpeTokenizer(file.replace(b'"!": 0,', piece.encode()), is_chat=False)
    with pytest.raises(TokenizerError, match=r"contains <\|bos\|>, which is a special token"):
        foreign_tokenizer(other)


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    saved = saved_model("text", block_size=32, **PORTABLE)
    return written(GGUF_FORMAT, saved, tmp_path_factory.mktemp("gguf")).read_bytes()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": {"block_size": 2**31 - 1}}, "differs from what this version"),
        ({"model": {"vocab_size": 2**31 - 1}}, "fewer weights than its receipt says"),
        ({"model": {"architecture": "modern"}}, "the receipt is damaged: neither GGUF nor"),
        ({"tokenizer": {"tokenizer": "other"}}, "tokenizer: input should be 'char' or 'bpe', got"),
        ({"tokenizer": {"tokenizer": "char"}}, "chars: field required"),
        ({"tokenizer": {"tokenizer": "char", "chars": ["a"]}}, "vocab_size is 280, but there are"),
        ({"tokenizer": {"tokenizer": "char", "chars": "ab"}}, "the receipt is damaged"),
        ({"tokenizer": {"special_tokens": ["x"]}}, "special_tokens[0]: input should be 'user'"),
        ({"tokenizer": {"file": {}}}, "the receipt is damaged"),
        ({"tokenizer": {"file": {"model": {"vocab": {"a": 4 * 10**9}, "merges": []}}}}, "damaged"),
        ({"weights_sha256": "0" * 64}, "its weights are not those of its receipt"),
    ],
)
def test_a_gguf_file_with_changed_metadata_is_refused(changes, problem, content, tmp_path) -> None:
    found = IN_FILE.search(content)
    facts = json.loads(found[1])
    for name, value in changes.items():
        facts[name] = facts[name] | value if isinstance(value, dict) else value
    other, start = json.dumps(facts).encode(), found.start(1) - 8
    changed = content[:start] + struct.pack("<Q", len(other)) + other + content[found.end() :]
    assert problem in refusal(GGUF_FORMAT.read, tmp_path / "model", changed)


def test_a_foreign_or_changed_gguf_file_is_not_accepted(content, tmp_path) -> None:
    for foreign in (b"", b"GGUF", b"<!doctype html>", b"GGUF" + bytes(100), b"\xff" * 99):
        (tmp_path / "model").write_bytes(foreign)
        assert GGUF_FORMAT.read(tmp_path / "model") is None
    changed = content[:4] + b"\x02" + content[5:]
    assert "differs from" in refusal(GGUF_FORMAT.read, tmp_path / "model", changed)
