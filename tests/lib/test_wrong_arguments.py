"""Tests that a wrong argument of the Python API raises a MicrogptError of one line."""

import random
import warnings
from collections import deque
from io import StringIO
from typing import Any

import numpy as np
import pytest
from trainings import talks

from microgpt import (
    InferenceGpt,
    Message,
    ModelConfig,
    Sampling,
    TrainConfig,
    load,
    load_text,
    save,
    train,
)
from microgpt.data.conversation_file import Item
from microgpt.data.split import Split, split
from microgpt.errors import MicrogptError
from microgpt.exact_match import answer_all
from microgpt.surprise import explain, score_texts

DOCS = ["anna", "emma"]
SMALL: dict[str, Any] = {
    "model": ModelConfig(n_embd=4, n_head=1, block_size=8),
    "config": TrainConfig(steps=2, engine="reference"),
}
RESULT = train(DOCS, **SMALL)
GPT, COMPILED = InferenceGpt(RESULT, engine="reference"), InferenceGpt(RESULT)
TALK, MUTE = talks([("hi", "ho")]), [(Message("user", "hi"),)]
HI = {"role": "user", "content": "hi"}
STREAM = TrainConfig(steps=2, text="stream")
CHAT = InferenceGpt(train(TALK, **SMALL), engine="reference")
TINY = InferenceGpt(train(TALK, **SMALL | {"model": ModelConfig(n_embd=4, n_head=1, block_size=1)}))
NAMES = [f"{a}{b}" for a in "abcdefgh" for b in "klmnopqr"]


def continued(tokens: list[int], **arguments: Any) -> object:
    return GPT.generate_from_prompt(tokens, **{"stop": (), "rng": random.Random(0)} | arguments)


class Frame(list[str]):
    columns = ("a", "b")


class Steep(TrainConfig):
    def lr_at(self, step: int) -> float:
        return 10 ** (200 * step)


NO_LIST = "docs must be a list of texts, such as load_text(path), or of conversations"


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: train(None), f"{NO_LIST}, not NoneType"),
        (lambda: train([b"abc"]), "docs[0] must be a text or a list of messages, not bytes"),
        (lambda: train([]), "there are no documents to train on"),
        (lambda: train("names.txt"), f"{NO_LIST}, not str"),
        (lambda: train(StringIO("anna\nbob\n")), f"{NO_LIST}, not StringIO"),
        (lambda: train({"anna", "bob"}), f"{NO_LIST}, not set"),
        (lambda: train(Frame("ab")), f"{NO_LIST}, not Frame"),
        (lambda: train(np.array("anna")), f"{NO_LIST}, not ndarray"),
        (lambda: train(DOCS, **SMALL | {"config": Steep(steps=3)}), "lr_at(2) must be "),
        (lambda: train(TALK, config=STREAM), "conversations cannot be read as running text"),
        (lambda: train(MUTE, **SMALL), "the conversations have no replies to learn; add messages"),
        (lambda: train(Split(TALK, TALK, validation=MUTE)), "there are no documents to evaluate"),
        (lambda: load_text("a\0b"), r"path contains a NUL or a lone surrogate: 'a\x00b'"),
        (lambda: save(RESULT, ""), "directory must not be empty"),
        (lambda: save(RESULT, "output", weights_format="gz"), "weights_format must be 'json' or "),
        (lambda: GPT.generate(10**20), "num_samples must be at most 2147483647, got 1000"),
        (lambda: GPT.generate(0), "num_samples must be >= 1, got 0"),
        (lambda: GPT.generate(max_tokens=0), "max_tokens must be >= 1, got 0"),
        (lambda: GPT.generate(threads=0), "threads must be >= 1, got 0"),
        (lambda: continued([]), "a prompt must have 1 to 8 tokens, got 0"),
        (lambda: GPT.generate(seed=-1), "seed must be >= 0, got -1"),
        (lambda: GPT.generate(max_tokens=10**9), "max_tokens must be at most 100000"),
        (lambda: GPT.generate(threads=2), "the reference engine supports only one thread; omit"),
        (lambda: COMPILED.generate(rng=random.Random(), threads=2), "rng cannot be used with"),
        (lambda: GPT.generate(prompt="aZ!"), "the vocabulary does not contain 'Z', '!'"),
        (lambda: TINY.generate(), "block_size 1 is too small for a prompt"),
        (lambda: GPT.evaluate([]), "there are no documents to evaluate"),
        (lambda: CHAT.evaluate(MUTE), "there are no documents to evaluate, or the held-out con"),
        (lambda: continued([0] * 9), "a prompt must have 1 to 8 tokens, got 9"),
        (lambda: continued([-1]), "the tokens of a prompt must be from 0 to"),
        (lambda: CHAT.chat(["hi"]), "messages[0] must be a Message or {"),
        (lambda: CHAT.chat([{**HI, "role": "system"}]), "messages[0] must be a Message or {"),
        (lambda: train([[HI, {"role": "bot"}]]), "docs[0][1] must be a Message or {"),
        (lambda: CHAT.chat([]), "messages must not be empty"),
        (lambda: GPT.chat([Message("user", "a")]), "this is not a chat model; train one with"),
        (lambda: InferenceGpt("output"), 'pass the result of train() or load("output"), not'),
        (lambda: InferenceGpt(RESULT, engine="fast"), "engine must be 'compiled' or 'reference', "),
        (lambda: GPT.log_probabilities([]), "a prompt must have 1 to 8 tokens, got 0"),
        (lambda: GPT.log_probabilities([1] * 9), "a prompt must have 1 to 8 tokens, got 9"),
        (lambda: explain(GPT, "anna", n_alternatives=-1), "n_alternatives must be >= 0, got -1"),
        (lambda: [*answer_all(CHAT, [Item("", TALK[0], 1, 1)], threads=0)], "threads must be >= 1"),
        (lambda: score_texts(GPT, [3]), "docs[0] must be a text or a list of messages"),
        (
            lambda: score_texts(CHAT, ["a"]),
            "a chat model cannot score texts; use a model trained on texts",
        ),
    ],
)
def test_a_wrong_argument_raises_an_error_of_one_line(call, problem) -> None:
    with pytest.raises(MicrogptError) as caught:
        call()
    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


@pytest.mark.compiled
def test_only_numpy_numbers_are_converted_to_python_numbers(tmp_path) -> None:
    rate = np.float32(0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = TrainConfig(steps=np.int64(2), lr=rate, dropout=np.float16(0.5))
        model = ModelConfig(n_embd=np.int32(4), n_head=1, block_size=8, init_std=rate)
        result = train(split(NAMES, validation=rate * 20), config=config, model=model)
        save(result, tmp_path)
        sampling = Sampling(np.float32(0.5), top_k=np.int64(3))
        whole = {"num_samples": 9, "seed": 7, "max_tokens": 5, "threads": 2}
        numbers = {name: np.int64(number) for name, number in whole.items()}
        texts = InferenceGpt(result).generate
        assert texts(temperature=rate, **numbers) == texts(temperature=0.01, **whole)
    settings = load(tmp_path).meta
    assert (settings.training["lr"], settings.init_std) == (float(rate), float(rate))
    numbers = (config.lr, config.dropout, config.steps, model.n_embd, sampling.top_k)
    assert [type(number) for number in numbers] == [float, float, int, int, int]
    assert TrainConfig(lr=1).lr is 1  # noqa: F632


def test_train_accepts_documents_in_a_deque() -> None:
    for docs in (DOCS * 50, [tuple(TALK[0])] * 50):
        expected = train(docs, **SMALL).weights
        assert train(deque(docs), **SMALL).weights == expected
        nested = [doc if isinstance(doc, str) else deque(doc) for doc in docs]
        assert train(nested, **SMALL).weights == expected
