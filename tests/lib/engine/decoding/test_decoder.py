import random

import numpy as np
import pytest

from microgpt import InferenceGpt, ModelConfig, TrainConfig
from microgpt.engine.decoding.decoder import TokenReader, reader_bytes
from microgpt.training.train import train

VARIANT = {"positions": "rotary", "token_shift": True, "qk_norm": True, "final_norm": True}


@pytest.mark.parametrize("fields", [{}, VARIANT, {"block_size": 1}])
def test_reading_tokens_one_by_one_equals_reading_all_at_once(fields) -> None:
    shape = ModelConfig(**{"n_embd": 24, "n_layer": 2, "n_head": 3, "block_size": 10, **fields})
    gpt = InferenceGpt(train(["anna", "emma"], model=shape, config=TrainConfig(steps=9)))
    rng, size = random.Random(1), gpt.config.vocab_size
    tokens = [rng.randrange(size) for _ in range(35)]
    wanted = gpt.log_probabilities(tokens)
    for n_first in {1, min(7, shape.block_size), shape.block_size}:
        reader = TokenReader(gpt.compiled, tokens[:n_first], len(tokens) - n_first)
        rows = [reader.read(), *(reader.read(token) for token in tokens[n_first:])]
        np.testing.assert_allclose(rows, wanted[n_first - 1 :], atol=1e-5)
        assert reader.n_read == len(tokens)
        with pytest.raises(AssertionError):
            reader.read(tokens[0])


def test_several_tokens_can_be_read_at_once_into_a_small_cache() -> None:
    shape = ModelConfig(positions="rotary", block_size=10**5)
    gpt = InferenceGpt(train(["anna"], model=shape, config=TrainConfig(steps=1)))
    tokens = gpt.opening("anna" * 30)
    reader = TokenReader(gpt.compiled, tokens[:1], len(tokens) - 1)
    reader.read(*tokens[1:50])
    np.testing.assert_allclose(
        reader.read(*tokens[50:]), gpt.log_probabilities(tokens)[-1], atol=1e-5
    )
    arrays = reader._decoder.arrays
    n_bytes = sum(one.nbytes for part in arrays for one in part)
    assert n_bytes < reader_bytes(gpt.config, gpt.compiled.dtype, len(tokens)) < 2**17
