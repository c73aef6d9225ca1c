import math
import random
from itertools import pairwise

import pytest

from microgpt import ModelConfig
from microgpt.distillation_loss import soft_cross_entropy
from microgpt.model import Gpt, cross_entropy, init_weights
from microgpt.reference import ReferenceEngine, document_loss
from microgpt.reference_engine import compute_gradients

MODEL = ModelConfig(n_embd=4, n_head=2, vocab_size=5, block_size=4)
GPT = Gpt(MODEL, init_weights(MODEL, random.Random(7)))
SHORT, LONG = [4, 0, 4], [4, 1, 2, 3, 4]


def engine(**settings) -> ReferenceEngine:
    return ReferenceEngine(MODEL, init_weights(MODEL, random.Random(7)), **settings)


def gradients(batch: list[list[int]]) -> list[float]:
    """Return the gradients of a batch, which equal Adam's running means if beta1 is 0."""
    trained = engine(beta1=0.0)
    trained.step(batch, lr=0.01)
    return trained.adam_m


def test_the_loss_of_a_batch_is_the_mean_over_its_tokens() -> None:
    loss = engine().step([SHORT, LONG], lr=0.01)
    mean = (document_loss(GPT, SHORT) + document_loss(GPT, LONG)) / 6
    assert math.isclose(loss, mean, rel_tol=1e-14)


def test_a_masked_loss_is_the_mean_over_the_unmasked_tokens() -> None:
    cache = GPT.new_cache()
    losses = [cross_entropy(GPT.forward(a, cache), b) for a, b in pairwise(LONG)]
    loss = compute_gradients(engine(), [SHORT, LONG], [[None, None], [None, 2, 3, None]])
    assert math.isclose(loss, (losses[1] + losses[2]) / 2, rel_tol=1e-14)


def test_the_loss_of_soft_targets_is_a_weighted_mean_over_tokens() -> None:
    logits = [0.5, -1.0, 2.0]
    losses = [cross_entropy(logits, token) for token in range(3)]
    soft = soft_cross_entropy(logits, [0.25, 0.5, 0.25])
    assert math.isclose(soft, 0.25 * losses[0] + 0.5 * losses[1] + 0.25 * losses[2])
    assert soft_cross_entropy(logits, [0.0, 1.0, 0.0]) == losses[1]


def test_a_batch_gradient_is_the_mean_weighted_by_tokens() -> None:
    both, a, b = gradients([SHORT, LONG]), gradients([SHORT]), gradients([LONG])
    expected = [(2 * x + 4 * y) / 6 for x, y in zip(a, b, strict=True)]
    assert both == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_tokens_beyond_the_context_are_not_read() -> None:
    fits = [4, 0, 1, 2, 3]
    assert engine().step([fits], lr=0.01) == engine().step([[*fits, 1, 1, 4]], lr=0.01)


def test_weight_decay_shrinks_weights_by_lr_times_decay() -> None:
    plain, decayed = engine(), engine(weight_decay=0.5)
    before = [param.data for param in plain.params]
    for each in (plain, decayed):
        each.step([[4, 0, 4]], lr=0.1)
    lost = [a.data - b.data for a, b in zip(plain.params, decayed.params, strict=True)]
    assert lost == pytest.approx([0.1 * 0.5 * weight for weight in before], abs=1e-15)
