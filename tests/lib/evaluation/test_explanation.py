import math

import numpy as np
import pytest

from microgpt import BpeTokenizer, InferenceGpt, Message, ModelConfig, TrainConfig
from microgpt.evaluation.explanation import explain
from microgpt.evaluation.scoring import Scorer
from microgpt.training.train import train

DOCS = ["anna", "emma", "olivia"]
CHAT = [(Message("user", "hi"), Message("assistant", "yo"))] * 3
CONFIG = TrainConfig(steps=30, dtype="float64")
SHAPES = {
    "karpathy": ModelConfig(n_embd=8, n_head=2, n_layer=2),
    "modern": ModelConfig(n_embd=16, n_head=2, n_layer=2, architecture="modern"),
}


@pytest.fixture(scope="module", params=SHAPES)
def trained(request):
    return train(DOCS, model=SHAPES[request.param], config=CONFIG)


@pytest.fixture(scope="module")
def chat():
    return train(CHAT, model=ModelConfig(n_embd=8, n_head=2), config=CONFIG)


@pytest.fixture(scope="module")
def bpe():
    tokenizer = BpeTokenizer.from_documents(DOCS * 3, 262)
    return train(DOCS, tokenizer=tokenizer, model=SHAPES["karpathy"], config=CONFIG)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("trained", "livia"), ("chat", CHAT[0]), ("bpe", "annañ olivia" * 3)],  # longer than 16
)
def test_explanations_equal_those_of_the_reference_engine(kind, text, trained, request) -> None:
    model = request.getfixturevalue(kind)
    fast, slow = (
        explain(InferenceGpt(model, engine=engine), text, n_alternatives=3).predictions
        for engine in ("compiled", "reference")
    )
    for each, other in zip(fast, slow, strict=True):
        assert each.text == other.text
        assert each.probability == pytest.approx(other.probability, abs=1e-9)
        assert each.entropy == pytest.approx(other.entropy, abs=1e-9)
        assert [one.probability for one in each.alternatives] == pytest.approx(
            [one.probability for one in other.alternatives], abs=1e-9
        )


def test_the_mean_surprise_equals_the_loss(trained) -> None:
    gpt = InferenceGpt(trained)
    text = "annaemmaoliviaemma" * 3  # longer than the context
    result = gpt.evaluate([text])
    explanation = explain(gpt, text, n_alternatives=0)
    assert len(explanation.predictions) == result.n_tokens
    assert explanation.bits == pytest.approx(result.n_tokens * result.loss / math.log(2))


def test_an_explained_conversation_shows_the_speakers(chat) -> None:
    explanation = explain(InferenceGpt(chat), CHAT[0])
    labels = ["<|user|>", *"hi", "<|end_turn|>", "<|assistant|>", *"yo", "<|end_turn|>"]
    assert [each.text for each in explanation.predictions] == labels
    assert explanation.read == ("<|bos|>", *labels[:-1])
    alone = explain(InferenceGpt(chat), "hi")
    assert [each.text for each in alone.predictions] == labels[:4]


def test_alternatives_are_sorted_by_probability(trained) -> None:
    n = trained.tokenizer.vocab_size
    for each in explain(InferenceGpt(trained), "emma", n_alternatives=n).predictions:
        probabilities = np.array([one.probability for one in each.alternatives])
        assert probabilities.sum() == pytest.approx(1)
        assert (np.diff(probabilities) <= 0).all()
        assert each.entropy == pytest.approx(-(probabilities * np.log2(probabilities)).sum())
        assert each.bits == pytest.approx(-math.log2(each.probability))


def test_tokens_that_are_parts_of_a_character_are_shown_as_bytes() -> None:
    tokenizer = BpeTokenizer.from_documents(["añb"], 260)
    model = train(["añb"], tokenizer=tokenizer, config=TrainConfig(steps=1), model=ModelConfig())
    texts = [each.text for each in explain(InferenceGpt(model), "ñ").predictions]
    assert texts == ["bytes:\\xc3", "bytes:\\xb1", "<|bos|>"]


@pytest.mark.parametrize("text", ["It rained all", "It rained all day and all night"])
def test_explained_running_text_has_no_end_token(text) -> None:
    config = TrainConfig(steps=5, text="stream", dtype="float64")
    docs = ["It rained all day and all night"]
    gpt = InferenceGpt(train(docs, model=SHAPES["karpathy"], config=config))
    wanted = gpt.evaluate([text], text="stream")
    (score,) = Scorer(gpt, text="stream").score([text])
    found = explain(gpt, text, n_alternatives=1, text_kind="stream")
    assert len(found.scored) == found.facts()["n_scored"] == wanted.n_tokens == len(text)
    assert found.bits == pytest.approx(wanted.n_tokens * wanted.loss / math.log(2))
    assert found.bits == pytest.approx(score.bits)
    next_token = found.predictions[-1]  # what may come next is still predicted
    assert len(found.predictions) == len(found.read) == len(text) + 1
    assert next_token.alternatives
