import math

import pytest

from microgpt import InferenceGpt, ModelConfig, TrainConfig
from microgpt.errors import PromptError
from microgpt.training.train import train


@pytest.fixture(scope="module", params=["float32", "float64"])
def trained(request):
    """A model of two layers, in one of the two kinds of numbers."""
    docs, shape = ["anna", "emma", "olivia"], ModelConfig(n_embd=8, n_head=2, n_layer=2)
    return train(docs, model=shape, config=TrainConfig(steps=60, dtype=request.param))


@pytest.fixture(params=["compiled", "reference"])
def gpt(request, trained) -> InferenceGpt:
    return InferenceGpt(trained, engine=request.param)


def test_the_probabilities_of_each_token_add_up_to_one(gpt) -> None:
    tokens = gpt.opening("livia")
    rows = [*gpt.log_probabilities(tokens)]
    assert [len(row) for row in rows] == [gpt.config.vocab_size] * len(tokens)
    for row in rows:
        assert max(row) < 0
        assert math.fsum(map(math.exp, row)) == pytest.approx(1, abs=1e-12)


def test_probabilities_depend_only_on_earlier_tokens(gpt) -> None:
    tokens = gpt.opening("olivia")
    rows = [*gpt.log_probabilities(tokens)]
    for n in range(1, len(tokens)):
        assert [*gpt.log_probabilities(tokens[:n])][-1] == pytest.approx(rows[n - 1], abs=1e-6)
    assert [*gpt.log_probabilities(gpt.opening("a"))][-1] != pytest.approx(rows[1], abs=1e-3)


def test_each_token_of_a_prompt_gets_log_probabilities(gpt) -> None:
    for n in (1, gpt.config.block_size, gpt.config.block_size + 1):
        assert len([*gpt.log_probabilities([0] * n)]) == n
    with pytest.raises(PromptError, match="tokens must not be empty"):
        [*gpt.log_probabilities([])]
    for tokens in ([0, gpt.config.vocab_size], [-1]):
        with pytest.raises(PromptError, match="tokens of a prompt must be from 0 to"):
            [*gpt.log_probabilities(tokens)]
