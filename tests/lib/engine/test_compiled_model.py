import random

import numpy as np
import pytest

from microgpt import ModelConfig
from microgpt.engine.compiled_model import CompiledModel
from microgpt.model import init_weights, softmax
from microgpt.model_variants import GptVariant
from microgpt.training.presets import VARIANT

RNG = random.Random(1)
DOCS = [[RNG.randrange(11) for _ in range(RNG.randint(2, 31))] for _ in range(40)]


def models(dtype: str, **settings):
    """Return a compiled model, and the same weights in plain Python."""
    model = ModelConfig(
        n_embd=12, n_head=3, n_layer=2, block_size=30, vocab_size=11, init_std=0.4, **settings
    )
    weights = init_weights(model, random.Random(7))
    return CompiledModel(model, weights, dtype), GptVariant(model, weights)


@pytest.mark.parametrize("settings", [{}, VARIANT])
def test_the_probabilities_are_those_of_the_reference(settings) -> None:
    compiled, gpt = models("float64", **settings)
    expected = []
    for doc in DOCS:
        cache = gpt.new_cache()
        expected += [softmax(gpt.forward(token, cache)) for token in doc[:-1]]
    found = compiled.probabilities(DOCS)
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # they are rounded to float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", [{}, VARIANT])
def test_a_probability_does_not_depend_on_the_other_documents(dtype, settings) -> None:
    compiled, _ = models(dtype, **settings)
    alone = [compiled.probabilities([doc]) for doc in DOCS]
    assert compiled.probabilities(DOCS).tobytes() == np.concatenate(alone).tobytes()


def test_probabilities_are_added_to_others() -> None:
    compiled, _ = models("float32")
    found = compiled.probabilities(DOCS[:3])
    mean = np.zeros_like(found)
    for share in (0.25, 0.75):
        assert compiled.probabilities(DOCS[:3], mean, share=share) is mean
    np.testing.assert_allclose(mean, found, rtol=1e-6)
    np.testing.assert_allclose(mean.sum(axis=1), 1, rtol=1e-6)
