import random
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from exported_models import ARCHITECTURES, TOKENIZERS, drawn_shape, saved_model

from microgpt import InferenceGpt
from microgpt.errors import CheckpointError, ConfigError
from microgpt.storage.saved_model import SavedModel
from microgpt_exports.comparison import compare
from microgpt_exports.onnx_file import OnnxSession, encode_onnx, read_onnx
from microgpt_exports.receipt import Receipt

SLOW = pytest.mark.slow
QUICK = {"karpathy": "names", "modern": "chat", "portable": "text"}
MODELS = [
    pytest.param(architecture, tokenizer, marks=() if tokenizer == QUICK[architecture] else SLOW)
    for architecture in ARCHITECTURES
    for tokenizer in TOKENIZERS
]


@cache
def exported(architecture: str, tokenizer: str) -> tuple[SavedModel, bytes]:
    saved = saved_model(tokenizer, architecture=architecture)
    return saved, encode_onnx(saved)


def read_back(content: bytes, folder: Path) -> tuple[OnnxSession, Receipt]:
    path = folder / "model.onnx"
    path.write_bytes(content)
    receipt = read_onnx(path)
    return OnnxSession(path), receipt


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(float) - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize(("architecture", "tokenizer"), MODELS)
def test_onnxruntime_computes_the_same_log_probabilities(architecture, tokenizer) -> None:
    saved, content = exported(architecture, tokenizer)
    gpt, session, rng = InferenceGpt(saved), OnnxSession(content), random.Random(1)
    V, size = saved.model.vocab_size, saved.model.block_size
    batch = np.array([[rng.randrange(V) for _ in range(size)] for _ in range(2)])
    expected = np.array([[*gpt.log_probabilities(tokens.tolist())] for tokens in batch])
    at_once, _ = session.read(batch, None)
    state, found = None, []
    for start, end in pairwise((0, 1, 2, 40, 41, size)):
        logits, state = session.read(batch[:, start:end], state)
        found.append(logits)
    for logits in (at_once, np.concatenate(found, axis=1)):
        assert np.abs(log_probabilities(logits) - expected).max() < 1e-4


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_onnxruntime_reproduces_the_receipt(tokenizer, tmp_path) -> None:
    saved = saved_model(tokenizer, architecture="modern")
    session, receipt = read_back(encode_onnx(saved), tmp_path)
    found = compare(receipt, session)
    assert found.passes(receipt)
    assert found.largest < 1e-4
    assert len({text.text for text in receipt.texts}) > 10
    assert receipt.model == saved.model
    assert receipt.model_sha256 == saved.sha256
    assert receipt.tokenizer.ids["bos"] == saved.tokenizer.bos_id


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_verify_confirms_a_random_model(seed, tmp_path) -> None:
    tokenizer = random.Random(seed).choice([*TOKENIZERS])
    saved = saved_model(tokenizer, seed=seed, **drawn_shape(seed))
    session, receipt = read_back(encode_onnx(saved), tmp_path)
    found = compare(receipt, session)
    assert found.largest < 1e-4
    assert found.n_equal == tuple(len(each.tokens) for each in receipt.continuations)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_context_of_one_token_is_exported(architecture, tmp_path) -> None:
    saved = saved_model(block_size=1, architecture=architecture)
    session, receipt = read_back(encode_onnx(saved), tmp_path)
    assert compare(receipt, session).passes(receipt)
    assert {len(text.tokens) for text in receipt.texts} == {2}


def test_the_receipt_of_another_model_is_not_confirmed(tmp_path) -> None:
    _, receipt = read_back(encode_onnx(saved_model()), tmp_path)
    other = OnnxSession(encode_onnx(saved_model(seed=1)))
    found = compare(receipt, other)
    assert found.largest > 0.1
    assert not found.passes(receipt)


def test_a_model_with_a_plug_in_is_refused() -> None:
    saved = saved_model("chat")
    known = saved.meta.model_copy(update={"extra": {"characters": {}}})
    with pytest.raises(ConfigError, match="a plug-in chooses what the model reads"):
        encode_onnx(SavedModel(saved.model, saved.weights, saved.tokenizer, "float32", known))


def test_weights_too_large_for_float32_are_refused() -> None:
    saved = saved_model()
    saved.weights["wte"][0][0] = 1e300
    with pytest.raises(CheckpointError, match="wte has a weight that is too large for float32"):
        encode_onnx(saved)


def test_a_graph_that_cannot_run_gives_a_one_line_error() -> None:
    with pytest.raises(CheckpointError, match=r"^onnxruntime \S+ cannot run the model: [^\n]+$"):
        OnnxSession(b"not a model")
    session = OnnxSession(encode_onnx(saved_model(block_size=8)))
    with pytest.raises(CheckpointError, match=r"^onnxruntime \S+ cannot run the model: [^\n]+$"):
        session.read([1] * 9, None)
