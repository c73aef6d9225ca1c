import json
import struct
from functools import partial

import pytest
from exported_models import PORTABLE, refusal, saved_model

from microgpt_exports.gguf_file import LIMITS, encode_gguf, read_gguf

START = 24 + 8 + len("microgpt.receipt") + 4  # of the length of the receipt


@pytest.fixture(scope="module")
def content() -> bytes:
    return encode_gguf(saved_model("text", block_size=32, **PORTABLE), "model")


refused = partial(refusal, read_gguf)


def with_receipt(content: bytes, **changes: object) -> bytes:
    """Return a file with another receipt; a dict changes only some of its entries."""
    size = struct.unpack_from("<Q", content, START)[0]
    facts = json.loads(content[START + 8 : START + 8 + size])
    for name, value in changes.items():
        facts[name] = facts[name] | value if isinstance(value, dict) else value
    other = json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode()
    return content[:START] + struct.pack("<Q", len(other)) + other + content[START + 8 + size :]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (b"gpt-2", b"llama"),
        (b"apertus.block_count\x04\0\0\0\x02", b"apertus.block_count\x04\0\0\0\x01"),
        (b"tokenizer.chat_template", b"tokenizer.chat_templatX"),
        (b"blk.1.attn_q.weight", b"blk.9.attn_q.weight"),
        ("æ Ĺ".encode(), "æ æ".encode()),
        (b"xielu.beta" + struct.pack("<If", 6, 0), b"xielu.beta" + struct.pack("<If", 6, 1)),
    ],
)
def test_changed_gguf_metadata_is_refused(ours, theirs, content, tmp_path) -> None:
    assert content.count(ours)
    at = content.rindex(ours)
    changed = content[:at] + theirs + content[at + len(ours) :]
    assert "differs from what this version of microgpt writes" in refused(changed, tmp_path)


def test_changed_and_missing_weights_are_refused(content, tmp_path) -> None:
    damaged = "is damaged: its weights are not those of its receipt"
    assert damaged in refused(content[:-1] + b"\x01", tmp_path)
    assert damaged in refused(content[:-32], tmp_path)
    assert damaged in refused(content + bytes(32), tmp_path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": {"block_size": 2**31 - 1}}, "differs from what this version"),
        ({"model": {"vocab_size": 2**31 - 1}}, "fewer weights than its receipt says"),
        ({"model": {"architecture": "modern"}}, "the receipt is damaged: no program of GGUF"),
        ({"tokenizer": {"tokenizer": "other"}}, "tokenizer: input should be 'char' or 'bpe', got"),
        ({"tokenizer": {"tokenizer": "char"}}, "chars: field required"),
        ({"tokenizer": {"tokenizer": "char", "chars": ["a"]}}, "vocab_size is 280, but there are"),
        ({"tokenizer": {"tokenizer": "char", "chars": "ab"}}, "the receipt is damaged"),
        ({"tokenizer": {"special_tokens": ["x"]}}, "special_tokens[0]: input should be 'user'"),
        ({"weights_sha256": "0" * 64}, "its weights are not those of its receipt"),
    ],
)
def test_a_changed_receipt_is_refused(changes, problem, content, tmp_path) -> None:
    assert problem in refused(with_receipt(content, **changes), tmp_path)


def test_a_hostile_tokenizer_is_refused(content, tmp_path) -> None:
    at = content.index(b"microgpt.tokenizer") + len("microgpt.tokenizer") + 4
    size = struct.unpack_from("<Q", content, at)[0]
    for other in (b"{}", b"[" * 50_000, b'{"model": {"vocab": {"a": 4000000000}, "merges": []}}'):
        changed = content[:at] + struct.pack("<Q", len(other)) + other + content[at + 8 + size :]
        assert "the receipt is damaged" in refused(changed, tmp_path)


@pytest.mark.parametrize("name", LIMITS)
def test_texts_above_their_limits_are_not_decoded(name, content, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(LIMITS, name, 4)
    refused(content, tmp_path)


def test_files_that_microgpt_has_not_written_are_refused(content, tmp_path) -> None:
    for foreign in (b"", b"GGUF", b"<!doctype html>", b"GGUF" + bytes(100), b"\xff" * 99):
        assert "has no receipt" in refused(foreign, tmp_path)
    assert "differs from" in refused(content[:4] + b"\x02" + content[5:], tmp_path)
    huge = content[:START] + struct.pack("<Q", 2**63) + content[START + 8 :]
    assert "has no receipt" in refused(huge, tmp_path)
    other = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", 1) + b"x" + bytes(12)
    assert "has no receipt" in refused(other, tmp_path)
