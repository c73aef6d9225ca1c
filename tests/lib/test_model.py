import itertools
import math
import random
from functools import partial
from typing import get_args

import pytest
from finite_differences import worst_difference
from hypothesis import given
from hypothesis import strategies as st
from model_shapes import shapes

from microgpt import Gpt, ModelConfig, Value
from microgpt.config import Architecture
from microgpt.errors import ConfigError
from microgpt.model import cross_entropy, init_weights, softmax, weight_shapes
from microgpt.model_variants import Dropout, GptVariant
from microgpt.reference import ReferenceEngine
from microgpt.reference_engine import target_loss


def values_of(weights):
    return {name: [[Value(w) for w in row] for row in rows] for name, rows in weights.items()}


def logits_along(gpt, tokens):
    cache = gpt.new_cache()
    return [gpt.forward(token, cache) for token in tokens]


@given(shapes(max_block_size=6), st.integers(0, 2**32))
def test_logits_from_autograd_values_equal_those_from_floats(model: ModelConfig, seed: int) -> None:
    rng = random.Random(seed)
    weights = init_weights(model, rng)
    tokens = [rng.randrange(model.vocab_size) for _ in range(model.block_size)]
    on_floats = logits_along(GptVariant(model, weights), tokens)
    on_values = logits_along(GptVariant(model, values_of(weights)), tokens)
    assert [[value.data for value in logits] for logits in on_values] == on_floats
    assert all(len(logits) == model.vocab_size for logits in on_floats)


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_gradients_of_weights_agree_with_finite_differences(architecture, seed: int) -> None:
    """The targets are tokens or distributions; dropout is used for seeds above 1."""
    rng = random.Random(seed)
    shape = {"n_embd": 4, "n_head": 2, "n_layer": 2, "block_size": 5, "vocab_size": 5}
    model = ModelConfig(**shape, n_ff_exp=seed, init_std=0.5, architecture=architecture)
    weights = init_weights(model, rng)
    tokens = [rng.randrange(5) for _ in range(6)]
    targets = [tokens[1], [0.1, 0.2, 0.3, 0.4, 0.0], *tokens[3:5], [0.2] * 5]
    values = values_of(weights)
    on_values, on_floats = (
        GptVariant(model, each).with_dropout(Dropout(0.3 * (seed > 1), seed, n_read=2))
        for each in (values, weights)
    )
    target_loss(on_values, tokens, targets).backward()
    for name in weight_shapes(model):
        for row, of_row in zip(weights[name], values[name], strict=True):
            grads = [value.grad for value in of_row]
            loss = partial(target_loss, on_floats, tokens, targets)
            assert worst_difference(row, grads, loss) < 1e-5


@pytest.mark.parametrize("model_type", [Gpt, ReferenceEngine])
@pytest.mark.parametrize("architecture", ["modern", "portable"])
def test_gpt_and_reference_engine_need_karpathys_architecture(model_type, architecture) -> None:
    model = ModelConfig(vocab_size=5, architecture=architecture)
    weights = init_weights(model, random.Random(1))
    with pytest.raises(ConfigError, match=rf"use .*GptVariant for architecture {architecture}"):
        model_type(model, weights)


def test_token_shift_agrees_with_a_hand_calculation() -> None:
    """All matrices are identities, so an MLP returns the squares of its shifted input."""
    shape = {"n_embd": 2, "n_head": 1, "n_layer": 2, "vocab_size": 3, "n_ff_exp": 1}
    model = ModelConfig(**shape, architecture="modern")
    one = [[1.0, 0.0], [0.0, 1.0]]
    gpt = GptVariant(model, dict.fromkeys(weight_shapes(model), one))
    gpt.cache = gpt.new_cache()
    gpt.position = 0
    assert gpt.mlp([1.0, 2.0], 0) == [0, 4]  # the first token has no predecessor
    assert gpt.mlp([3.0, 4.0], 1) == [0, 16]
    assert gpt.mlp([5.0, 6.0], 0) == [1, 36]
    assert gpt.mlp([7.0, 8.0], 1) == [9, 64]


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8), st.data())
def test_cross_entropy_is_the_nll_of_softmax_without_overflow(logits: list[float], data) -> None:
    target = data.draw(st.integers(0, len(logits) - 1))
    probability = softmax(logits)[target]
    loss = cross_entropy(logits, target)
    assert math.isfinite(loss)  # even if the probability rounds to 0
    if probability > 1e-300:
        assert math.isclose(loss, -math.log(probability), rel_tol=1e-9, abs_tol=1e-9)
    assert softmax([1e308, 1e308]) == [0.5, 0.5]


def test_tokens_outside_the_vocabulary_or_context_are_refused() -> None:
    model = ModelConfig(n_embd=4, n_head=2, block_size=2, vocab_size=3)
    gpt = Gpt(model, init_weights(model, random.Random(1)))
    for tokens in ([3], [-1], [0, 0, 0]):
        found = f"token {tokens[-1]} of 3, position {len(tokens) - 1} of 2"
        with pytest.raises(ConfigError, match=f"out of range: {found}"):
            logits_along(gpt, tokens)


N = 20_000  # number of draws; the standard error of a fraction is then below 0.004


def kept(rate: float, *, seed: int = 1, n_read: int = 0, position: int = 0, site: int = 0) -> list:
    """Return N ones after dropout with the given rate."""
    return Dropout(rate, seed, n_read)([1.0] * N, position, site)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_the_given_fraction_and_keeps_the_mean(rate) -> None:
    numbers = kept(rate)
    assert set(numbers) == {0.0, 1 / (1 - rate)}
    assert numbers.count(0.0) / N == pytest.approx(rate, abs=0.015)
    assert sum(numbers) / N == pytest.approx(1, abs=4 * math.sqrt(rate / (1 - rate) / N))


def test_dropout_masks_of_different_seeds_and_positions_are_independent() -> None:
    """Two dropout masks agree at about half of the positions, as independent masks would."""
    draws = [kept(0.5), kept(0.5, seed=2), kept(0.5, n_read=1), kept(0.5, position=1)]
    draws += [kept(0.5, site=1), kept(0.5, seed=2**63 - 1), kept(0.5, n_read=10**9)]
    for a, b in itertools.combinations(draws, 2):
        n_same = sum(x == y for x, y in zip(a, b, strict=True))
        assert n_same / N == pytest.approx(0.5, abs=0.02)


def test_a_dropout_mask_has_no_autocorrelation() -> None:
    """Bits at any distance agree about half of the time, as independent bits would."""
    bits = [number > 0 for number in kept(0.5)]
    for lag in (1, 2, 3, 8, 16, 64):
        n_same = sum(a == b for a, b in zip(bits, bits[lag:], strict=False))
        assert n_same / (N - lag) == pytest.approx(0.5, abs=0.02)
