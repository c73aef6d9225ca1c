import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import Gpt, ModelConfig
from microgpt.model import init_weights, softmax
from microgpt.sampling import decode, sample

LOGITS = st.lists(st.floats(-30, 30), min_size=2, max_size=10)


@pytest.fixture(scope="module")
def gpt() -> Gpt[float]:
    model = ModelConfig(vocab_size=6, block_size=8, init_std=0.5)
    return Gpt(model, init_weights(model, random.Random(3)))


def run(gpt: Gpt[float], prompt: list[int], **settings):
    """Return the decoded tokens and why they end."""
    settings = {"stop": (), "temperature": 1.0, "rng": random.Random(0)} | settings
    steps = decode(gpt, prompt, **settings)
    tokens = []
    while True:
        try:
            tokens.append(next(steps))
        except StopIteration as end:
            return tokens, end.value


@given(LOGITS, st.floats(0.1, 3), st.integers(0, 2**32))
def test_a_token_is_drawn_as_random_choices_draws_it(logits, temperature, seed) -> None:
    probs = softmax([logit / temperature for logit in logits])
    expected = random.Random(seed).choices(range(len(logits)), weights=probs)[0]
    drawn = sample(logits, temperature=temperature, rng=random.Random(seed), forbidden=())
    assert drawn == expected


def test_a_token_comes_as_often_as_its_probability_says() -> None:
    rng, n = random.Random(5), 20_000
    counts = Counter(
        sample([0.0, 1.0, 2.0], temperature=2.0, rng=rng, forbidden=()) for _ in range(n)
    )
    for token, probability in enumerate(softmax([0.0, 0.5, 1.0])):
        assert abs(counts[token] / n - probability) < 0.015  # four standard errors


@given(LOGITS)
def test_temperature_zero_takes_the_best_and_draws_nothing(logits) -> None:
    rng = random.Random(1)
    before = rng.getstate()
    assert sample(logits, temperature=0, rng=rng, forbidden=()) == logits.index(max(logits))
    assert rng.getstate() == before


@given(LOGITS, st.integers(0, 2**32))
def test_a_temperature_close_to_zero_is_greedy_and_does_not_overflow(logits, seed) -> None:
    drawn = sample(logits, temperature=5e-324, rng=random.Random(seed), forbidden=())
    assert logits[drawn] == max(logits)


@given(LOGITS, st.floats(0, 3), st.integers(0, 2**32), st.data())
def test_a_forbidden_token_never_comes(logits, temperature, seed, data) -> None:
    tokens = range(len(logits))
    forbidden = data.draw(st.sets(st.sampled_from(tokens), max_size=len(logits) - 1))
    drawn = sample(logits, temperature=temperature, rng=random.Random(seed), forbidden=forbidden)
    assert drawn in set(tokens) - forbidden


def test_decoding_ends_when_the_context_is_full(gpt) -> None:
    for n in range(1, 9):
        tokens, reason = run(gpt, [0] * n)
        assert (len(tokens), reason) == (8 - n + 1, "length")


def test_decoding_ends_at_a_stop_token_which_is_not_part_of_it(gpt) -> None:
    everything, _ = run(gpt, [0])
    stop = everything[3]
    tokens, reason = run(gpt, [0], stop=(stop,))
    assert tokens == everything[: everything.index(stop)]
    assert reason == "stop"


def test_no_stop_token_comes_before_the_first_tokens_that_were_asked_for(gpt) -> None:
    for seed in range(50):
        tokens, _ = run(gpt, [0], stop=(1, 2, 3), min_tokens=2, rng=random.Random(seed))
        assert len(tokens) >= 2
        assert not {1, 2, 3} & set(tokens)


def test_max_tokens_ends_a_sequence(gpt) -> None:
    assert run(gpt, [0], max_tokens=3)[0] == run(gpt, [0])[0][:3]
    assert len(run(gpt, [0], max_tokens=99)[0]) == 8


def test_decoding_reads_the_whole_prompt(gpt) -> None:
    greedy = {run(gpt, [first, 1, 2], temperature=0)[0][0] for first in range(6)}
    assert len(greedy) > 1
