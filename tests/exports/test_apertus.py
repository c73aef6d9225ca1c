from dataclasses import replace

import numpy as np
import pytest
from apertus_model import forward
from exported_models import PORTABLE, drawn_tokens, log_probabilities, saved_model

from microgpt.errors import CheckpointError
from microgpt.storage.saved_model import SavedModel
from microgpt_exports.apertus import check_tensors, from_apertus, to_apertus

ATTENTION, MLP = "model.layers.1.self_attn", "model.layers.1.mlp"


@pytest.fixture(scope="module")
def saved() -> SavedModel:
    return saved_model(block_size=64, n_embd=24, n_head=3, **PORTABLE)


# Embeddings above 1 are scaled down, so RMSNorm's epsilon weighs more in the smallest of them.
@pytest.mark.parametrize(("size", "tolerance"), [(0.5, 1e-6), (1.0, 1e-6), (3.0, 2e-3)])
def test_gains_and_embeddings_trained_elsewhere_are_converted(saved, size, tolerance) -> None:
    rng = np.random.default_rng(1)
    tensors = to_apertus(saved.model, saved.weights)
    for name, each in tensors.items():
        if "norm" in name and "_norm" not in name:
            each *= rng.uniform(0.5, 1.5, each.shape).astype("float32")
    tensors["model.embed_tokens.weight"] *= rng.uniform(0.1, size, (27, 1)).astype("float32")
    tensors[f"{MLP}.act_fn.alpha_p"] += 0.3
    weights = from_apertus(saved.model, tensors)
    lists = {name: each.tolist() for name, each in weights.items()}
    tokens = drawn_tokens(saved, 64)
    found = log_probabilities(replace(saved, weights=lists, dtype="float64"), tokens)
    assert np.abs(found - forward(tensors, 3, tokens)).max() < tolerance


@pytest.mark.parametrize(
    ("name", "number", "problem"),
    [
        (f"{ATTENTION}.q_norm.weight", 1.3, "do not train the gains of queries and keys"),
        (f"{MLP}.act_fn.beta", 0.5, "is not squared ReLU"),
        (f"{MLP}.act_fn.alpha_n", 0.8, "is not squared ReLU"),
        ("lm_head.weight", np.nan, "a number that is not finite"),
    ],
)
def test_unsupported_tensor_values_are_refused(saved, name, number, problem) -> None:
    tensors = to_apertus(saved.model, saved.weights)
    tensors[name] = np.full(tensors[name].shape, number)
    with pytest.raises(CheckpointError, match=problem):
        from_apertus(saved.model, tensors)


def test_missing_extra_and_misshapen_tensors_are_refused(saved) -> None:
    tensors = to_apertus(saved.model, saved.weights)
    shapes = {name: each.shape for name, each in tensors.items()}
    with pytest.raises(CheckpointError, match=r"lm_head.weight has the shape \(1,\)"):
        check_tensors(saved.model, shapes | {"lm_head.weight": (1,)})
    with pytest.raises(CheckpointError, match=r"other is not a tensor"):
        check_tensors(saved.model, shapes | {"other": (1,)})
    del shapes["model.norm.weight"]
    with pytest.raises(CheckpointError, match=r"model.norm.weight is missing"):
        check_tensors(saved.model, shapes)
