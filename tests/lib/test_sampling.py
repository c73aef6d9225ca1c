import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import Gpt, ModelConfig, Sampling
from microgpt.model import init_weights, softmax
from microgpt.sampling import DecodeRules, decode, sample

LOGITS = st.lists(st.floats(-30, 30), min_size=2, max_size=10)


@pytest.fixture(scope="module")
def gpt() -> Gpt[float]:
    model = ModelConfig(vocab_size=6, block_size=8, init_std=0.5)
    return Gpt(model, init_weights(model, random.Random(3)))


def run(gpt: Gpt[float], prompt: list[int], *, rng: random.Random | None = None, **settings):
    """Return the decoded tokens and the finish reason."""
    rules = DecodeRules(**{"sampling": Sampling(1.0)} | settings)
    steps = decode(gpt, prompt, rules, rng or random.Random(0))
    tokens = []
    while True:
        try:
            tokens.append(next(steps))
        except StopIteration as end:
            return tokens, end.value


@given(LOGITS, st.floats(0.1, 3), st.integers(0, 2**32))
def test_sample_draws_the_same_token_as_random_choices(logits, temperature, seed) -> None:
    probs = softmax([logit / temperature for logit in logits])
    expected = random.Random(seed).choices(range(len(logits)), weights=probs)[0]
    drawn = sample(logits, sampling=Sampling(temperature), rng=random.Random(seed), forbidden=())
    assert drawn == expected


@given(LOGITS)
def test_temperature_zero_is_greedy_and_draws_no_random_number(logits) -> None:
    rng = random.Random(1)
    before = rng.getstate()
    assert sample(logits, sampling=Sampling(0), rng=rng, forbidden=()) == logits.index(max(logits))
    assert rng.getstate() == before


@given(LOGITS, st.integers(0, 2**32))
def test_sampling_at_a_tiny_temperature_is_greedy(logits, seed) -> None:
    drawn = sample(logits, sampling=Sampling(5e-324), rng=random.Random(seed), forbidden=())
    assert logits[drawn] == max(logits)


@given(LOGITS, st.floats(0, 3), st.integers(0, 2**32), st.data())
def test_a_forbidden_token_is_never_sampled(logits, temperature, seed, data) -> None:
    tokens = range(len(logits))
    forbidden = data.draw(st.sets(st.sampled_from(tokens), max_size=len(logits) - 1))
    drawn = sample(
        logits, sampling=Sampling(temperature), rng=random.Random(seed), forbidden=forbidden
    )
    assert drawn in set(tokens) - forbidden


def test_decoding_ends_at_a_stop_token_or_limit_and_returns_the_reason(gpt) -> None:
    for n in range(1, 9):
        tokens, reason = run(gpt, [0] * n)
        assert (len(tokens), reason) == (8 - n + 1, "length")  # the context is full
    everything, _ = run(gpt, [0])
    before = everything[: everything.index(everything[3])]
    assert run(gpt, [0], stop=(everything[3],)) == (before, "stop")
    assert run(gpt, [0], max_tokens=3) == (everything[:3], "length")
    assert len(run(gpt, [0], max_tokens=99)[0]) == 99


def test_min_tokens_delays_the_first_stop_token(gpt) -> None:
    for seed in range(50):
        tokens, _ = run(gpt, [0], stop=(1, 2, 3), min_tokens=2, rng=random.Random(seed))
        assert len(tokens) >= 2
        assert not {1, 2, 3} & set(tokens)


def kept(weights: list[float], temperature: float = 1, **settings: float) -> set[int]:
    """Return the set of tokens that 300 draws give."""
    logits, rng = [math.log(weight) for weight in weights], random.Random(0)
    sampling = Sampling(temperature, **settings)
    return {sample(logits, sampling=sampling, rng=rng, forbidden=()) for _ in range(300)}


@pytest.mark.parametrize(
    ("weights", "filters", "expected"),
    [
        ([1, 5, 3, 3], {"top_k": 1}, {1}),
        ([1, 5, 3, 3], {"top_k": 2}, {1, 2}),  # of equally likely tokens, the first is kept
        ([1, 5, 3, 3], {"top_k": 9}, {0, 1, 2, 3}),
        ([1, 4, 3, 2], {"top_p": 0}, {1}),
        ([1, 4, 3, 2], {"top_p": 0.39}, {1}),
        ([1, 4, 3, 2], {"top_p": 0.69}, {1, 2}),  # the fewest tokens that add up to top_p or more
        ([1, 4, 3, 2], {"top_p": 0.71}, {1, 2, 3}),
        ([1, 4, 3, 2], {"min_p": 0.74}, {1, 2}),  # min_p is relative to the largest weight
        ([1, 4, 3, 2], {"min_p": 0.76}, {1}),
        ([1, 4, 3, 2], {"top_p": 0.75}, {1, 2, 3}),
        # top_k keeps the weights 4, 3 and 2; 4 and 3 are 7/9 of them, but only 7/10 of all weights.
        ([1, 4, 3, 2], {"top_k": 3, "top_p": 0.75}, {1, 2}),
        ([1, 4, 3, 2], {"top_k": 3, "top_p": 0.75, "min_p": 0.8}, {1}),
    ],
)
def test_top_k_top_p_and_min_p_decide_which_tokens_are_drawn(weights, filters, expected) -> None:
    assert kept(weights, **filters) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [({"top_k": 1}, {2}), ({"top_p": 0}, {2}), ({"min_p": 1}, {2}), ({"top_k": 2}, {2, 3})],
)
@pytest.mark.parametrize("temperature", [1, 1e7, 1e17, 1e308])
def test_filters_keep_the_likeliest_tokens_at_high_temperatures(
    temperature, filters, expected
) -> None:
    assert kept([1, 2, 4, 3], temperature, **filters) == expected


def test_temperature_is_applied_before_the_filters() -> None:
    logits, rng = [math.log(weight) for weight in (9, 1)], random.Random(0)
    for temperature, expected in ((1, {0}), (4, {0, 1})):
        sampling = Sampling(temperature, min_p=0.3)
        drawn = {sample(logits, sampling=sampling, rng=rng, forbidden=()) for _ in range(200)}
        assert drawn == expected
