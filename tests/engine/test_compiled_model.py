import random
from typing import get_args

import numpy as np
import pytest

from microgpt import ModelConfig
from microgpt.config import Architecture
from microgpt.model import init_weights, softmax
from microgpt.model_variants import GptVariant
from microgpt.reference_engine import ReferenceModel
from microgpt_engine.compiled_model import CompiledModel

RNG = random.Random(1)
DOCS = [[RNG.randrange(11) for _ in range(RNG.randint(2, 31))] for _ in range(40)]


def models(dtype: str, **settings):
    """Return a compiled model, and a reference model with the same weights."""
    model = ModelConfig(
        n_embd=12, n_head=3, n_layer=2, block_size=30, vocab_size=11, init_std=0.4, **settings
    )
    weights = init_weights(model, random.Random(7))
    return CompiledModel(model, weights, dtype), GptVariant(model, weights)


def probabilities(compiled: CompiledModel, docs: list[list[int]], *shares: float) -> np.ndarray:
    """Return the probabilities, one row per prediction, times the sum of `shares` (or 1)."""
    found = np.zeros((sum(len(doc) - 1 for doc in docs), 11), np.float32)
    for share in shares or (1.0,):
        compiled.add_probabilities(docs, found, share=share)
    return found


@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_compiled_probabilities_equal_those_of_the_reference_engine(architecture) -> None:
    compiled, gpt = models("float64", architecture=architecture)
    expected = []
    for doc in DOCS:
        cache = gpt.new_cache()
        expected += [softmax(gpt.forward(token, cache)) for token in doc[:-1]]
    found = probabilities(compiled, DOCS)
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # `found` is rounded to float32
    np.testing.assert_allclose(probabilities(compiled, DOCS, 0.25, 0.75), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_the_probabilities_of_a_document_do_not_depend_on_its_batch(dtype, architecture) -> None:
    compiled, _ = models(dtype, architecture=architecture)
    alone = [probabilities(compiled, [doc]) for doc in DOCS]
    assert probabilities(compiled, DOCS).tobytes() == np.concatenate(alone).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_of_huge_logits_agrees_with_the_reference(dtype) -> None:
    """If the largest logit, possibly that of token 0, were not subtracted, exp would overflow."""
    _, gpt = models(dtype)
    head = [[1000 * weight for weight in row] for row in gpt.weights["lm_head"]]
    large = GptVariant(gpt.config, {**gpt.weights, "lm_head": head})
    compiled = CompiledModel(large.config, large.weights, dtype)
    expected = ReferenceModel(large.config, large.weights, "float64").nll(DOCS)
    assert compiled.nll(DOCS) == pytest.approx(expected, rel=1e-4)
