import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt_characters.questions.matching import MAX_WORDS, Matcher, words_of

FAQ = [
    ("When are you open?", "Every day from 7 to 18."),
    ("Do you have bread without gluten?", "Yes, rice bread on Tuesdays."),
    ("Can I order a birthday cake?", "Call us two days before."),
    ("Where is the bakery?", "At 12 Mill Street, opposite the church."),
    ("Do you deliver?", "No, but we keep your order until noon."),
    ("What does a croissant cost?", "It costs 2 euros."),
]
MATCHER = Matcher(FAQ)


@pytest.mark.parametrize(("asked", "_"), FAQ)
def test_a_known_question_is_its_own_best_match(asked, _) -> None:
    best, *others = MATCHER.rank(asked)
    assert FAQ[best.number][0] == asked
    assert best.similarity == pytest.approx(1)
    assert all(other.score < best.score for other in others)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("CAKE", "Can I order a birthday cake?"),  # case
        ("i would like to order cakes", "Can I order a birthday cake?"),  # another form
        ("birthday cke order", "Can I order a birthday cake?"),  # a typing error
        ("is the price of a croisant high", "What does a croissant cost?"),  # a synonym
        ("gluten-free bread", "Do you have bread without gluten?"),
        ("the church", "Where is the bakery?"),  # a word of the answer
        ("delivery?", "Do you deliver?"),
    ],
)
def test_reworded_questions_match_the_original_question(text, asked) -> None:
    best = MATCHER.rank(text)[0]
    assert FAQ[best.number][0] == asked
    assert best.similarity > 0.56


@pytest.mark.parametrize(
    "text", ["what is the capital of france", "how old are you", "can you play the piano", "?", ""]
)
def test_unrelated_questions_have_a_low_similarity(text) -> None:
    assert all(match.similarity < 0.56 for match in MATCHER.rank(text))


def test_a_rare_word_weighs_more_than_a_frequent_one() -> None:
    matcher = Matcher([("red shoes", "a"), ("red hat", "b"), ("blue coat", "c")])
    assert [match.number for match in matcher.rank("red coat")] == [2, 0, 1]


@pytest.mark.parametrize("text", ["thanks a lot", "a cat"])
def test_common_and_short_words_are_not_taken_for_typing_errors(text) -> None:
    assert not Matcher([("My card is lost", "Call us."), ("Is the cart free?", "Yes.")]).rank(text)


def test_matching_ignores_words_beyond_max_words() -> None:
    text = " ".join(f"word{n}" for n in range(MAX_WORDS))
    assert not MATCHER.rank(f"{text} cake")
    assert MATCHER.rank(f"cake {text} order")[0].similarity < 0.1


def test_words_of_ignores_case_accents_and_hyphens() -> None:
    assert words_of("Café, E-Mail and it’s") == ["cafe", "email", "and", "it's"]


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=5), st.text())
def test_similarities_of_any_text_are_between_0_and_1(pairs, text) -> None:
    for match in Matcher(pairs).rank(text):
        assert 0 <= match.similarity <= 1 + 1e-9
