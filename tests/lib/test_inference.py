import random
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest

from microgpt import InferenceGpt, Message, ModelConfig, Sampling, TrainConfig, TrainedModel
from microgpt.errors import PromptError
from microgpt.model import Gpt
from microgpt.reference import document_loss
from microgpt.sampling import DecodeRules
from microgpt.training.train import train

HI = Message("user", "hi")


def test_chat_accepts_a_string_a_message_or_a_dict(chat: InferenceGpt) -> None:
    assert chat.chat("hi") == chat.chat([HI]) == chat.chat([{"role": "user", "content": "hi"}])


def test_chat_and_reply_job_sample_the_same_replies(chat: InferenceGpt) -> None:
    prompt, sampling = chat.chat_prompt([HI]), Sampling(9, 5, 0.9, 0.01)
    settings = {"temperature": 9, "top_k": 5, "top_p": 0.9, "min_p": 0.01, "max_tokens": 4}
    found = [chat.chat("hi", **settings, seed=seed).content for seed in range(9)]
    jobs = [chat.reply_job(prompt, sampling=sampling, max_tokens=4, seed=seed) for seed in range(9)]
    assert found == [chat.tokenizer.decode(chat.stream(job)) for job in jobs]
    assert len({*found}) > 1


def test_consecutive_samples_have_consecutive_seeds(text: InferenceGpt) -> None:
    samples = text.generate(6, seed=10, temperature=2)
    assert samples == [text.generate(seed=10 + i, temperature=2)[0] for i in range(6)]
    assert len(set(samples)) > 1


def test_only_the_end_of_an_overlong_prompt_is_read(text: InferenceGpt) -> None:
    longest, long = "a" * 15, "e" * 10 + "a" * 8
    assert text.text_job(prompts=[longest]).tokens_dropped == 0
    job = text.text_job(prompts=[long, ""])
    assert job.prompts == [text.opening("a" * 8), text.opening("")]
    assert job.tokens_dropped == 10
    for prompt, room in ((longest, 1), (long, 8)):  # of `long`, only the last 8 letters are read
        (sample,) = text.generate(prompt=prompt, seed=3)
        assert sample.startswith(prompt)
        assert len(sample) <= len(prompt) + room


@pytest.mark.parametrize("block_size", [1, 5, 48])
def test_log_probabilities_match_greedy_tokens_on_both_engines(block_size: int) -> None:
    model = ModelConfig(n_embd=8, n_head=2, block_size=block_size)
    trained = train(["anna", "emma"], model=model, config=TrainConfig(steps=3, dtype="float64"))
    gpt, reference = InferenceGpt(trained), InferenceGpt(trained, engine="reference")
    start = gpt.opening("")
    stream = gpt.generate_from_prompt(start, stop=(), temperature=0, rng=random.Random(1))
    tokens, half = [*start, *stream][:block_size], block_size // 2
    rows = np.array([*gpt.log_probabilities(tokens)])
    assert rows.argmax(axis=1)[:-1].tolist() == tokens[1:]
    np.testing.assert_allclose(rows, [*reference.log_probabilities(tokens)], atol=1e-12)
    np.testing.assert_array_equal(rows[half:], [*gpt.log_probabilities(tokens, half)])


def test_generating_with_too_large_weights_raises_an_error(text_result) -> None:
    huge = text_result.weights | {"lm_head": [[1e308] * 16] * text_result.model.vocab_size}
    model = InferenceGpt(TrainedModel(text_result.model, huge, text_result.tokenizer, "float32"))
    for temperature in (0, 0.5):
        with pytest.raises(PromptError, match="not finite because the weights are too large"):
            model.generate(temperature=temperature)


def test_the_finish_reason_of_a_stream_is_known_only_at_its_end(text: InferenceGpt) -> None:
    bos = text.tokenizer.bos_id
    stream = text.generate_from_prompt([bos], stop=(), max_tokens=2, rng=random.Random(0))
    assert stream.finish_reason is None
    assert len(list(stream)) == 2
    assert stream.finish_reason == "length"
    assert list(stream) == []
    assert stream.finish_reason == "length"


def test_a_reply_adds_the_number_of_earlier_replies_to_its_seed(chat: InferenceGpt) -> None:
    messages = [*[HI, Message("assistant", "yo")] * 2, Message("user", "oh")]
    prompt = chat.chat_prompt(messages)
    rules = DecodeRules([chat.tokenizer.end_turn_id], [4, 5, 7], 1, sampling=Sampling(30))
    expected = chat.engine_model.decode(prompt.tokens, rules, random.Random(100 + 2))
    job = chat.reply_job(prompt, sampling=Sampling(30), seed=100)
    assert list(expected) == list(chat.stream(job))


def test_the_weights_of_an_inference_model_are_read_only(text: InferenceGpt) -> None:
    for rows in text.weights.values():
        with pytest.raises(TypeError):
            rows[0][0] = 0.0
        with pytest.raises(TypeError):
            rows[0] = ()


def scalar_loss(trained, docs) -> tuple[float, int]:
    """Return the mean loss per token, computed by `Gpt` token by token, and the token count."""
    gpt, block_size = Gpt(trained.model, trained.weights), trained.model.block_size
    total, n_tokens = 0.0, 0
    for doc in docs:
        tokens = trained.tokenizer.encode_document(doc)
        n_tokens += len(tokens) - 1
        for i in range(1, len(tokens)):
            stride = max(1, block_size // 2)
            start = 0
            while i - start > block_size:  # find the first window that contains the token
                start += stride
            window = tokens[start : i + 1]
            total += document_loss(gpt, window) - (
                document_loss(gpt, window[:-1]) if len(window) > 2 else 0.0
            )
    return total / n_tokens, n_tokens


@pytest.mark.parametrize("block_size", [1, 2, 5, 16])
def test_the_evaluated_loss_equals_that_of_the_scalar_model(block_size) -> None:
    model = ModelConfig(n_embd=8, n_head=2, n_layer=2, block_size=block_size)
    trained = train(
        ["anna", "emma", "mia"], model=model, config=TrainConfig(steps=20, dtype="float64")
    )
    docs = ["mia", "a", "annaemmamia", "ima" * 9]
    loss, n_tokens = scalar_loss(trained, docs)
    for engine in ("compiled", "reference"):
        result = InferenceGpt(trained, engine=engine).evaluate(docs)
        assert result.loss == pytest.approx(loss, abs=1e-9)
        assert (result.n_docs, result.n_tokens) == (4, n_tokens)


@pytest.fixture(scope="module")
def plain(text_result) -> InferenceGpt:
    return InferenceGpt(text_result, engine="reference")


NARROW = {"top_k": 4, "top_p": 0.9, "min_p": 0.01, "max_tokens": 7}


@pytest.mark.parametrize("settings", [{}, NARROW, {"temperature": 0}, {"prompt": "an"}])
def test_both_engines_generate_the_same_texts(text, plain, settings) -> None:
    settings = {"temperature": 2} | settings
    expected = plain.generate(40, **settings)
    assert text.generate(40, **settings) == expected
    assert text.generate(40, threads=3, **settings) == expected
    assert text.generate(40, rng=random.Random(1), **settings) == plain.generate(
        40, rng=random.Random(1), **settings
    )


@pytest.mark.compiled
def test_an_endless_stream_begins_like_a_finite_one(text) -> None:
    endless = text.samples(temperature=2, threads=2)
    assert list(islice(endless, 300)) == text.generate(300, temperature=2)


def test_eight_threads_can_share_one_model(text_result) -> None:
    model = InferenceGpt(text_result)  # new, so that threads race to fill its caches

    def ask(seed: int) -> tuple[object, ...]:
        bos = model.tokenizer.bos_id
        stream = model.generate_from_prompt(
            [bos], stop=(bos,), temperature=2, rng=random.Random(seed)
        )
        samples, loss = model.generate(70, seed=seed, temperature=2), model.evaluate(["mia" * 20])
        return samples, list(stream), loss

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(32)))
    assert together == list(map(ask, range(32)))


def test_the_number_of_threads_does_not_change_the_loss(text) -> None:
    docs = ["mia" * n for n in range(1, 60)]
    assert text.evaluate(docs, threads=4) == text.evaluate(docs)
