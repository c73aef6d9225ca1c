import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import talks

from microgpt import (
    BpeTokenizer,
    FoldingTokenizer,
    InferenceGpt,
    Message,
    ModelConfig,
    TrainConfig,
    TrainResult,
    train,
)
from microgpt.data.conversation_file import Item
from microgpt.exact_match import ExactMatches, answer_all
from microgpt.surprise import UNKNOWN_BITS, explain, score_texts


def item(*texts: str, place: int | None = None) -> Item:
    """Return a test item; the reply at the index `place`, by default the last, is expected."""
    conversation = tuple(map(Message, ("user", "assistant") * len(texts), texts))
    return Item("greet", conversation, len(texts) - 1 if place is None else place, line=1)


def test_a_reply_that_differs_only_in_a_space_is_not_exact(chat) -> None:
    right, wrong = answer_all(chat, [item("hi", "yo"), item("hi", "yo ")])
    assert (right.reply, right.is_exact) == ("yo", True)
    assert (wrong.reply, wrong.is_exact) == ("yo", False)


def test_folding_applies_to_expected_replies_in_the_vocabulary(chat_result) -> None:
    folding = replace(chat_result, tokenizer=FoldingTokenizer("hioy", is_chat=True))
    answers = list(answer_all(InferenceGpt(folding), [item("Hi", "YÓ"), item("hi", "Yes")]))
    assert [(one.expected, one.reply, one.is_exact) for one in answers] == [
        ("yo", "yo", True),
        ("Yes", "yo", False),  # the vocabulary lacks "Y", "e" and "s"
    ]


texts = st.lists(st.text("hioy", min_size=1, max_size=9), min_size=2, max_size=8)


@pytest.mark.compiled
@settings(max_examples=30)
@given(st.lists(texts.filter(lambda some: len(some) % 2 == 0), max_size=9), st.integers(1, 3))
def test_answers_are_greedy_replies_to_all_preceding_messages(chat, conversations, threads) -> None:
    items = [item(*some, place=place) for some in conversations for place in range(1, len(some), 2)]
    answers = list(answer_all(chat, items, threads=threads))
    assert [each.item for each in answers] == items
    for each in answers:
        history = each.item.conversation[: each.item.place]
        reply = chat.chat(history, temperature=0)
        assert each.reply == reply.content


def test_answer_all_yields_nothing_without_test_items(chat) -> None:
    assert list(answer_all(chat, [])) == []


@pytest.mark.parametrize(
    ("n", "n_exact", "low", "high"),
    [  # values from Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (263, 81, 0.2553, 0.3662),
        (148, 15, 0.0624, 0.1605),
        (20, 0, 0.0, 0.1611),
        (29, 1, 0.0061, 0.1718),
    ],
)
def test_confidence_intervals_agree_with_the_wilson_formula(n, n_exact, low, high) -> None:
    assert ExactMatches(n, n_exact).interval == pytest.approx((low, high), abs=5e-5)
    assert ExactMatches(n, n - n_exact).interval == pytest.approx((1 - high, 1 - low), abs=5e-5)


@given(st.integers(1, 10**6), st.data())
def test_a_confidence_interval_contains_the_fraction_and_lies_between_0_and_1(n, data) -> None:
    score = ExactMatches(n, data.draw(st.integers(0, n)))
    low, high = score.interval
    assert 0 <= low <= score.share <= high <= 1


DOCS = ["anna", "emma", "olivia", "ñu 🚀"]
CHAT = talks([("hi", "yo")])
CONFIG = TrainConfig(steps=30, dtype="float64")
SHAPE = ModelConfig(n_embd=8, n_head=2, n_layer=2, block_size=9)


@cache
def model_of(kind: str) -> TrainResult:
    """Return a small model; its kind is "char", "bpe" (subwords), "chat" or "modern"."""
    tokenizer = BpeTokenizer.from_documents(DOCS * 3, 270) if kind == "bpe" else None
    shape = replace(SHAPE, architecture="modern" if kind == "modern" else "karpathy")
    docs = CHAT if kind == "chat" else DOCS
    return train(docs, model=shape, config=CONFIG, tokenizer=tokenizer)


@settings(max_examples=20)
@given(texts=st.lists(st.text("anemolivñu 🚀", max_size=30), max_size=6))
@pytest.mark.parametrize("text", ["lines", "stream"])
@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_scores_agree_with_evaluated_losses_and_explanations(kind, text, texts) -> None:
    gpt = InferenceGpt(model_of(kind))
    scores = score_texts(gpt, texts, text=text)
    assert [score.text for score in scores] == texts
    assert [score.n_unknown for score in scores] == [0] * len(texts)
    if not any(score.n_scored for score in scores):
        return
    result = gpt.evaluate(texts, text=text)
    assert sum(score.n_scored for score in scores) == result.n_characters
    total = result.loss * result.n_tokens / math.log(2)
    assert math.fsum(score.bits for score in scores) == pytest.approx(total)
    for score in scores:
        explanation = explain(gpt, score.text, n_alternatives=0, text_kind=text)
        assert score.bits == pytest.approx(explanation.bits)


def test_each_unknown_character_adds_a_fixed_number_of_bits() -> None:
    gpt = InferenceGpt(model_of("char"))
    known, some, none, empty = score_texts(gpt, ["anna", "aXnn\ud800a", "X", ""])
    assert [each.n_unknown for each in (known, some, none, empty)] == [0, 2, 1, 0]
    assert some.bits == pytest.approx(known.bits + 2 * UNKNOWN_BITS)
    assert none.bits == pytest.approx(empty.bits + UNKNOWN_BITS)
    assert some.bits_per_character == pytest.approx(some.bits / 7)


def test_a_text_is_folded_before_it_is_scored() -> None:
    docs = ["jorg", "strasse"]
    tokenizer = FoldingTokenizer.from_documents(docs)
    gpt = InferenceGpt(train(docs, model=SHAPE, config=CONFIG, tokenizer=tokenizer))
    scores = score_texts(gpt, ["Jo\u0308rg", "Straße", "JX"])
    wanted = [explain(gpt, text).bits for text in ("jorg", "strasse", "j")]
    wanted[2] += UNKNOWN_BITS
    assert [score.bits for score in scores] == pytest.approx(wanted)
    assert [score.n_unknown for score in scores] == [0, 0, 1]


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("char", "livia"),
        ("modern", "livia"),
        ("chat", CHAT[0]),
        ("bpe", "annañ olivia" * 3),  # longer than the context
    ],
)
def test_explanations_equal_those_of_the_reference_engine(kind, text) -> None:
    fast, slow = (
        explain(InferenceGpt(model_of(kind), engine=engine), text, n_alternatives=3).predictions
        for engine in ("compiled", "reference")
    )
    for each, other in zip(fast, slow, strict=True):
        assert each.text == other.text
        assert each.probability == pytest.approx(other.probability, abs=1e-9)
        assert each.entropy == pytest.approx(other.entropy, abs=1e-9)
        assert [one.probability for one in each.alternatives] == pytest.approx(
            [one.probability for one in other.alternatives], abs=1e-9
        )


def test_an_explained_conversation_shows_the_speakers() -> None:
    gpt = InferenceGpt(model_of("chat"))
    explanation = explain(gpt, CHAT[0])
    labels = ["<|user|>", *"hi", "<|end_turn|>", "<|assistant|>", *"yo", "<|end_turn|>"]
    assert [each.text for each in explanation.predictions] == labels
    assert explanation.read == ("<|bos|>", *labels[:-1])
    alone = explain(gpt, "hi")
    assert [each.text for each in alone.predictions] == labels[:4]


def test_explanations_give_sorted_alternatives_entropy_and_bits() -> None:
    gpt = InferenceGpt(model_of("char"))
    n = gpt.tokenizer.vocab_size
    for each in explain(gpt, "emma", n_alternatives=n).predictions:
        probabilities = np.array([one.probability for one in each.alternatives])
        assert probabilities.sum() == pytest.approx(1)
        assert (np.diff(probabilities) <= 0).all()
        assert each.entropy == pytest.approx(-(probabilities * np.log2(probabilities)).sum())
        assert each.bits == pytest.approx(-math.log2(each.probability))


def test_tokens_that_are_parts_of_a_character_are_shown_as_bytes() -> None:
    tokenizer = BpeTokenizer.from_documents(["añb"], 260)
    model = train(["añb"], tokenizer=tokenizer, config=TrainConfig(steps=1), model=SHAPE)
    texts = [each.text for each in explain(InferenceGpt(model), "ñ").predictions]
    assert texts == ["bytes:\\xc3", "bytes:\\xb1", "<|bos|>"]


@pytest.mark.parametrize("text", ["anna", "annaemmaolivia"])  # the second exceeds the context
def test_an_explanation_of_running_text_does_not_score_its_end(text) -> None:
    found = explain(InferenceGpt(model_of("char")), text, n_alternatives=1, text_kind="stream")
    assert len(found.scored) == len(text)
    assert len(found.predictions) == len(found.read) == len(text) + 1
    assert found.predictions[-1].alternatives  # the next token is still predicted
