"""How likely each token is to be next, as `Predictor.log_probabilities` tells it."""

import math
import random

import pytest

from microgpt import BpeTokenizer, InferenceGpt, Message, ModelConfig, Sampling, TrainConfig
from microgpt.errors import PromptError
from microgpt.training.train import train


@pytest.fixture(scope="module", params=["float32", "float64"])
def trained(request):
    """A model of two layers, in one of the two kinds of numbers."""
    docs, shape = ["anna", "emma", "olivia"], ModelConfig(n_embd=8, n_head=2, n_layer=2)
    return train(docs, model=shape, config=TrainConfig(steps=60), dtype=request.param)


@pytest.fixture(params=["compiled", "reference"])
def gpt(request, trained) -> InferenceGpt:
    return InferenceGpt(trained, engine=request.param)


def test_the_probabilities_of_each_token_add_up_to_one(gpt) -> None:
    tokens = gpt.opening("livia")
    rows = gpt.log_probabilities(tokens)
    assert [len(row) for row in rows] == [gpt.config.vocab_size] * len(tokens)
    for row in rows:
        assert max(row) < 0
        assert math.fsum(map(math.exp, row)) == pytest.approx(1, abs=1e-12)


def test_both_engines_give_the_same_probabilities(trained) -> None:
    tokens = InferenceGpt(trained).opening("annaemmaolivia")
    compiled, reference = (
        InferenceGpt(trained, engine=engine).log_probabilities(tokens)
        for engine in ("compiled", "reference")
    )
    width = 1e-12 if trained.dtype == "float64" else 1e-4  # some digits of float32
    for row, other in zip(compiled, reference, strict=True):
        assert row == pytest.approx(other, abs=width)


def test_the_first_rows_can_be_skipped(gpt) -> None:
    tokens = gpt.opening("olivia")
    rows = gpt.log_probabilities(tokens)
    for first in range(len(tokens) + 1):
        assert gpt.log_probabilities(tokens, first) == rows[first:]


def test_probabilities_depend_only_on_earlier_tokens(gpt) -> None:
    tokens = gpt.opening("olivia")
    rows = gpt.log_probabilities(tokens)
    for n in range(1, len(tokens)):
        assert gpt.log_probabilities(tokens[:n])[-1] == pytest.approx(rows[n - 1], abs=1e-6)
    assert gpt.log_probabilities(gpt.opening("a"))[-1] != pytest.approx(rows[1], abs=1e-3)


def test_the_mean_log_probability_is_the_evaluated_loss(gpt) -> None:
    name = "olivia"
    tokens = [*gpt.opening(name), gpt.tokenizer.bos_id]
    rows = gpt.log_probabilities(tokens[:-1])
    nll = [-row[token] for row, token in zip(rows, tokens[1:], strict=True)]
    loss = math.fsum(nll) / len(nll)
    assert loss == pytest.approx(gpt.evaluate([name]).loss, rel=1e-5)


def test_the_likeliest_token_is_the_one_at_temperature_zero(gpt) -> None:
    tokens = gpt.opening("")
    greedy = gpt.generate_from_prompt(tokens, stop=(), sampling=Sampling(0), rng=random.Random(1))
    read = tokens + list(greedy)[:15]
    rows = gpt.log_probabilities(read[:-1])
    assert [row.index(max(row)) for row in rows] == read[1:]


def test_each_token_gets_log_probabilities(gpt) -> None:
    for n in (1, gpt.config.block_size, gpt.config.block_size + 1):
        assert len(gpt.log_probabilities([0] * n)) == n
    with pytest.raises(PromptError, match="tokens must not be empty"):
        gpt.log_probabilities([])
    for tokens in ([0, gpt.config.vocab_size], [-1]):
        with pytest.raises(PromptError, match="tokens of a prompt must be from 0 to"):
            gpt.log_probabilities(tokens)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_subwords_of_a_conversation_get_log_probabilities(engine) -> None:
    talk = (Message("user", "hi there"), Message("assistant", "yo there"))
    tokenizer = BpeTokenizer.from_documents([talk], vocab_size=270)
    shape, config = ModelConfig(block_size=48), TrainConfig(steps=60, lr=0.02)
    gpt = InferenceGpt(
        train([talk], model=shape, tokenizer=tokenizer, config=config), engine=engine
    )
    prompt = gpt.chat_prompt([talk[0]]).tokens
    said = [*tokenizer.encode("yo there"), tokenizer.end_turn_id]
    rows = gpt.log_probabilities([*prompt, *said][:-1], len(prompt) - 1)
    nll = [-row[token] for row, token in zip(rows, said, strict=True)]
    assert math.fsum(nll) / len(said) == pytest.approx(gpt.evaluate([talk]).loss, abs=1e-6)
