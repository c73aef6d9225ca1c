import random
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from model_shapes import shapes

from microgpt import ModelConfig, Sampling
from microgpt.errors import PromptError
from microgpt.model import init_weights, weight_shapes
from microgpt.model_variants import GptVariant
from microgpt.sampling import DecodeRules, decode
from microgpt_engine.compiled_model import CompiledModel
from microgpt_engine.decoder import Decoder

SAMPLING = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 3.0, 1e9]),
    top_k=st.none() | st.integers(1, 45),
    top_p=st.sampled_from([1.0, 0.9, 0.5, 0.0]),
    min_p=st.sampled_from([0.0, 0.05, 0.7, 1.0]),
)


def draw_prompts(model: ModelConfig, n: int, seed: int) -> list[list[int]]:
    rng = random.Random(seed)
    return [
        [rng.randrange(model.vocab_size) for _ in range(rng.randint(1, model.block_size))]
        for _ in range(n)
    ]


def whole(steps) -> tuple[list[int], str]:
    """Return all tokens of a generator and its finish reason."""
    tokens: list[int] = []
    while True:
        try:
            tokens.append(next(steps))
        except StopIteration as end:
            return tokens, end.value


@settings(max_examples=12)
@given(
    shapes(max_head_dim=10, max_block_size=24, max_vocab_size=40),
    SAMPLING,
    st.integers(0, 2**64 - 100),
    st.none() | st.integers(1, 50),
    st.integers(0, 3),
    st.integers(1, 9),
)
@example(ModelConfig(vocab_size=27, init_std=0.4), Sampling(0.5), 42, None, 0, 9)
@example(ModelConfig(n_embd=8, n_head=2, vocab_size=6, init_std=0.5), Sampling(2), 1, None, 2, 60)
@example(  # wide matrices, wide heads, a long context
    ModelConfig(n_embd=160, n_head=2, n_ff_exp=1, block_size=40, vocab_size=9, init_std=0.1),
    Sampling(1.0, top_k=5, top_p=0.9), 3, None, 0, 2,
)  # fmt: skip
def test_every_decoding_method_gives_the_tokens_of_the_reference_engine(
    model, sampling, seed, max_tokens, min_tokens, n_prompts
) -> None:
    weights = init_weights(model, random.Random(seed))
    compiled = CompiledModel(model, weights, "float64")
    prompts = draw_prompts(model, n_prompts, seed)
    stop, forbidden = ((1, 3), (5, 99)) if min_tokens else ((1,), ())
    rules = DecodeRules(stop, forbidden, min_tokens, max_tokens, sampling)
    seeds = range(seed, seed + len(prompts))
    expected = [
        whole(decode(GptVariant(model, weights), prompt, rules, random.Random(seed)))
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    streams = [
        whole(compiled.decode(prompt, rules, random.Random(seed)))
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    assert streams == expected
    for threads in (1, 3):
        found = compiled.decode_many(prompts, seeds, rules, threads=threads)
        assert list(found) == [tokens for tokens, _ in expected]
    decoder = Decoder(compiled, prompts, rules, seeds=seeds)
    while decoder.run():
        pass
    assert [(one.tokens, one.finish_reason) for one in decoder.take(slice(None))] == expected


@settings(max_examples=12)
@given(shapes(max_block_size=24), st.integers(0, 99))
@example(ModelConfig(n_embd=16, vocab_size=27, architecture="karpathy"), 1)
@example(ModelConfig(n_embd=16, vocab_size=27, architecture="modern"), 1)
def test_decoding_computes_the_logits_of_the_reference_engine(model, seed) -> None:
    weights = init_weights(model, random.Random(seed))
    rules = DecodeRules(max_tokens=1, sampling=Sampling(0))  # which leaves the logits unchanged
    for prompt in draw_prompts(model, 2, seed):
        gpt = GptVariant(model, weights)
        cache = gpt.new_cache()
        *_, expected = (gpt.forward(token, cache) for token in prompt)
        decoder = Decoder(CompiledModel(model, weights, "float64"), [prompt], rules)
        assert not decoder.run()
        found = decoder.arrays.rows.logits[0, : model.vocab_size]
        assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_decoding_with_every_token_excluded_raises_an_error() -> None:
    model = ModelConfig(n_embd=4, n_head=1, vocab_size=3)
    compiled = CompiledModel(model, init_weights(model, random.Random(2)), "float32")
    rules = DecodeRules(stop=(0,), forbidden=(1, 2), min_tokens=1)
    steps = compiled.decode([0], rules, random.Random(0))
    with pytest.raises(PromptError, match="all tokens are excluded from sampling"):
        next(steps)


def test_a_stream_draws_the_same_random_numbers_as_the_reference_engine() -> None:
    model = ModelConfig(n_embd=8, n_head=2, block_size=30, vocab_size=6, init_std=0.5)
    weights = init_weights(model, random.Random(2))
    compiled = CompiledModel(model, weights, "float64")
    for temperature in (0.0, 1.0):
        for n_taken in (0, 1, 3, 99):
            states = []
            for start in (compiled.decode, partial(decode, GptVariant(model, weights))):
                rng = random.Random(5)
                steps = start([0], DecodeRules((2,), sampling=Sampling(temperature)), rng)
                for _ in zip(range(n_taken), steps, strict=False):
                    pass
                steps.close()
                states.append(rng.getstate())
            assert states[0] == states[1]


@pytest.mark.parametrize(("n", "slope"), [(10, 0.0), (2, 1.0), (3, 1.0), (6, 1.0), (7, 1.0)])
def test_sampling_filters_keep_the_same_tokens_in_both_engines(n, slope) -> None:
    """The logits of the n tokens are equal, with exact sums, or each is larger than the last."""
    model = ModelConfig(n_embd=4, n_head=1, block_size=40, vocab_size=n)
    weights = {name: [[0.0] * n] * m for name, (m, n) in weight_shapes(model).items()}
    weights |= {"wpe": [[1.0] * 4] * 40, "lm_head": [[slope * i] * 4 for i in range(n)]}
    filters = ({"top_k": 1}, {"top_k": 3}, {"top_p": 0.8}, {"min_p": 1})
    for dtype in ("float32", "float64"):
        compiled = CompiledModel(model, weights, dtype)
        for filter in filters:
            rules = DecodeRules(sampling=Sampling(9, **filter))
            expected = whole(decode(GptVariant(model, weights), [0], rules, random.Random(1)))
            assert whole(compiled.decode([0], rules, random.Random(1))) == expected


def test_the_largest_random_number_draws_the_last_allowed_token() -> None:
    model = ModelConfig(n_embd=4, n_head=1, block_size=4, vocab_size=10)
    compiled = CompiledModel(model, init_weights(model, random.Random(0)), "float32")

    class AlmostOne(random.Random):
        def random(self) -> float:
            return 1 - 2**-53

    rules = DecodeRules(forbidden=(7, 8, 9), sampling=Sampling(5.0))
    assert set(compiled.decode([0], rules, AlmostOne())) == {6}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 1e40, 1e300])
def test_engines_draw_the_same_tokens_at_extreme_temperatures(dtype, temperature) -> None:
    model = ModelConfig(n_embd=4, n_head=1, vocab_size=15, init_std=0.5)
    weights = init_weights(model, random.Random(0))
    rules = DecodeRules(forbidden=(0, 14), sampling=Sampling(temperature))
    compiled = CompiledModel(model, weights, dtype)
    for seed in range(20):
        tokens = list(compiled.decode([3], rules, random.Random(seed)))
        assert tokens == list(decode(GptVariant(model, weights), [3], rules, random.Random(seed)))
        assert not {0, 14} & set(tokens)


@pytest.fixture
def broken_at_3() -> tuple[ModelConfig, dict[str, list[list[float]]]]:
    """A model whose activations at the fourth position are not finite."""
    model = ModelConfig(n_embd=4, n_head=1, block_size=8, vocab_size=5)
    weights = init_weights(model, random.Random(2))
    weights["wpe"][3] = [float("inf")] * 4
    return model, weights


def test_tokens_before_an_infinite_logit_are_still_returned(broken_at_3) -> None:
    model, weights = broken_at_3
    results, rules = [], DecodeRules(sampling=Sampling(1))
    for start in (
        CompiledModel(model, weights, "float64").decode,
        lambda *a, **k: decode(GptVariant(model, weights), *a, **k),
    ):
        rng, tokens = random.Random(1), []
        with pytest.raises(PromptError, match="not finite"):
            tokens.extend(start([0], rules, rng))
        steps = start([0], rules, random.Random(1))
        tokens = [next(steps) for _ in range(3)]
        results.append((tokens, rng.getstate()))
    assert results[0] == results[1]


def test_sequences_before_one_with_an_infinite_logit_are_returned(broken_at_3) -> None:
    compiled = CompiledModel(*broken_at_3, "float64")
    rules = DecodeRules(max_tokens=2, sampling=Sampling(1))
    some = compiled.decode_many([[0], [0], [0, 1, 2, 3]], range(3), rules)
    assert [len(next(some)), len(next(some))] == [2, 2]
    with pytest.raises(PromptError, match="not finite"):
        next(some)


def test_both_engines_keep_the_same_tokens_if_top_p_is_almost_reached() -> None:
    """The two likeliest tokens have a probability of 0.5 - 1e-14 each; one alone is below top_p."""
    model = ModelConfig(n_embd=1, n_head=1, block_size=30, vocab_size=300)
    weights = {name: [[0.0] * n] * m for name, (m, n) in weight_shapes(model).items()}
    weights["wte"] = [[1.0]] * 300
    weights["lm_head"] = [[-36.5]] * 298 + [[0.0]] * 2
    rules = DecodeRules(sampling=Sampling(1.0, top_p=0.5))
    compiled = CompiledModel(model, weights, "float64")
    expected = list(decode(GptVariant(model, weights), [0], rules, random.Random(1)))
    assert list(compiled.decode([0], rules, random.Random(1))) == expected
