from itertools import chain, repeat

from hypothesis import given
from hypothesis import strategies as st

from microgpt.batching.sample_iterators import GIVE_UP_AFTER, cut, select, settled


def test_what_is_known_or_was_there_before_is_left_out() -> None:
    texts = ["ann", "eve", "ann", "mia", "eve", "zoe"]
    assert list(select(texts, unique=True, known={"mia"})) == ["ann", "eve", "zoe"]
    assert list(select(texts, unique=False, known={"mia"})) == ["ann", "eve", "ann", "eve", "zoe"]


def test_the_search_is_given_up_when_many_in_a_row_are_nothing_new() -> None:
    almost = chain(["ann"], repeat("ann", GIVE_UP_AFTER - 1), ["eve"], repeat("ann"))
    assert list(select(almost, unique=True, known=())) == ["ann", "eve"]


def test_a_text_is_cut_before_the_first_stop_string_to_be_complete() -> None:
    assert cut("xabcab", ("abc", "b")) == "xa"
    assert cut("xabcab", ("ab", "b")) == "x"
    assert cut("banana", ("na", "an")) == "b"
    assert cut("banana", ("x",)) == "banana"
    assert cut("banana", ()) == "banana"


def test_what_may_become_a_stop_string_is_not_settled() -> None:
    assert settled("xab", ("abc",)) == "x"
    assert settled("xabab", ("abc", "babab")) == "xa"
    assert settled("banana", ("nab", "x")) == "bana"
    assert settled("banana", ("nano",)) == "bana"
    assert settled("banana", ("a",)) == "banana"  # it would have been cut already
    assert settled("banana", ()) == "banana"


def test_half_a_character_is_not_settled() -> None:
    assert settled("ab\ufffd", ()) == "ab"
    assert settled("a\ufffdb", ()) == "a\ufffdb"
    assert settled("ab\ufffd", ("bc",)) == "a"


stops = st.lists(st.text("ab\ufffd", min_size=1, max_size=4), max_size=3).map(tuple)


@given(st.text("ab\ufffd", max_size=9), st.text("ab\ufffd", max_size=9), stops)
def test_what_is_settled_stays_whatever_comes_and_where_it_is_cut(text, rest, stop) -> None:
    if cut(text.rstrip("\ufffd"), stop) == text.rstrip("\ufffd"):  # it goes on
        assert cut(text + rest, stop).startswith(settled(text, stop))


@given(st.text("ab", max_size=9), stops)
def test_no_more_than_need_be_is_held_back(text, stop) -> None:
    held_back = text[len(settled(text, stop)) :]
    assert not held_back or any(string.startswith(held_back) for string in stop)
