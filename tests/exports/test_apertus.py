from dataclasses import replace

import numpy as np
import pytest
from apertus_model import forward
from exported_models import PORTABLE, drawn_tokens, log_probabilities, saved_model

from microgpt.errors import CheckpointError
from microgpt.storage.model_metadata import SavedModel
from microgpt_exports.apertus import from_apertus, to_apertus

ATTENTION, MLP = "model.layers.1.self_attn", "model.layers.1.mlp"


@pytest.fixture(scope="module")
def saved() -> SavedModel:
    return saved_model(block_size=64, n_embd=24, n_head=3, **PORTABLE)


# If any embedding is above 1, all are scaled down, so RMSNorm's epsilon affects small ones more.
@pytest.mark.parametrize(("size", "tolerance"), [(0.5, 1e-6), (1.0, 1e-6), (3.0, 2e-3)])
def test_converting_embeddings_of_any_size_keeps_the_probabilities(saved, size, tolerance) -> None:
    rng = np.random.default_rng(1)
    tensors = to_apertus(saved.model, saved.weights)
    tensors["model.embed_tokens.weight"] *= rng.uniform(0.1, size, (27, 1)).astype("float32")
    lists = {name: each.tolist() for name, each in from_apertus(saved.model, tensors).items()}
    tokens = drawn_tokens(saved, 64)
    found = log_probabilities(replace(saved, weights=lists, dtype="float64"), tokens)
    assert np.abs(found - forward(tensors, 3, tokens)).max() < tolerance


@pytest.mark.parametrize(
    ("name", "number", "problem"),
    [
        (f"{ATTENTION}.q_norm.weight", 1.3, r"q_norm.weight must be 1.2, a constant; train only"),
        ("model.norm.weight", 1.1, "model.norm.weight must be 1, a constant"),
        (f"{MLP}.act_fn.beta", 0.5, "act_fn.beta must be 0, a constant"),
        (f"{MLP}.act_fn.alpha_n", 0.8, "act_fn.alpha_n must be -100, a constant"),
        ("lm_head.weight", np.nan, "a number that is not finite"),
    ],
)
def test_values_that_microgpt_cannot_represent_are_refused(saved, name, number, problem) -> None:
    tensors = to_apertus(saved.model, saved.weights)
    tensors[name] = np.full(tensors[name].shape, number)
    with pytest.raises(CheckpointError, match=problem):
        from_apertus(saved.model, tensors)


def test_missing_additional_and_misshapen_tensors_are_refused(saved) -> None:
    tensors = to_apertus(saved.model, saved.weights)
    with pytest.raises(CheckpointError, match=r"lm_head.weight has the shape \(1,\)"):
        from_apertus(saved.model, tensors | {"lm_head.weight": np.zeros(1)})
    with pytest.raises(CheckpointError, match=r"other is not a tensor"):
        from_apertus(saved.model, tensors | {"other": np.zeros(1)})
    del tensors["model.norm.weight"]
    with pytest.raises(CheckpointError, match=r"model.norm.weight is missing"):
        from_apertus(saved.model, tensors)
