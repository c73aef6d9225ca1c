from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import InferenceGpt, Message
from microgpt.data.conversation_file import Item
from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer import ROLES
from microgpt.errors import ConfigError
from microgpt.evaluation.exact_match import ExactMatches, answer_all


def item(*texts: str, place: int | None = None) -> Item:
    """Return an item of a conversation of these texts; the last one is expected."""
    conversation = tuple(Message(ROLES[i % 2], text) for i, text in enumerate(texts))
    return Item("greet", conversation, len(texts) - 1 if place is None else place, line=1)


def test_a_reply_must_match_exactly(chat) -> None:
    right, wrong = answer_all(chat, [item("hi", "yo"), item("hi", "yo ")])
    assert (right.reply, right.is_exact) == ("yo", True)
    assert (wrong.reply, wrong.is_exact) == ("yo", False)


def test_expected_replies_are_folded_if_the_tokenizer_folds(chat_result) -> None:
    folding = replace(chat_result, tokenizer=FoldingTokenizer("hioy", is_chat=True))
    answers = list(answer_all(InferenceGpt(folding), [item("Hi", "YÓ"), item("hi", "Yes")]))
    assert [(one.expected, one.reply, one.is_exact) for one in answers] == [
        ("yo", "yo", True),
        ("Yes", "yo", False),  # it cannot be said
    ]


texts = st.lists(st.text("hioy", min_size=1, max_size=9), min_size=2, max_size=8)


@settings(max_examples=30)
@given(st.lists(texts.filter(lambda some: len(some) % 2 == 0), max_size=9), st.integers(1, 3))
def test_an_answer_is_greedy_and_depends_on_all_earlier_messages(
    chat, conversations, threads
) -> None:
    items = [item(*some, place=place) for some in conversations for place in range(1, len(some), 2)]
    answers = list(answer_all(chat, items, threads=threads))
    assert [each.item for each in answers] == items
    for each in answers:
        history = each.item.conversation[: each.item.place]
        reply = chat.chat(history, temperature=0)
        assert each.reply == reply.content


def test_a_file_without_scored_replies_yields_no_answers(chat) -> None:
    assert list(answer_all(chat, [])) == []
    with pytest.raises(ConfigError, match="threads must be >= 1"):
        list(answer_all(chat, [item("hi", "yo")], threads=0))


@pytest.mark.parametrize(
    ("n", "n_exact", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
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
def test_an_interval_contains_the_share_and_stays_within_0_to_1(n, data) -> None:
    score = ExactMatches(n, data.draw(st.integers(0, n)))
    low, high = score.interval
    assert 0 <= low <= score.share <= high <= 1
