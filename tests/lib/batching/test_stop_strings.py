from hypothesis import given
from hypothesis import strategies as st

from microgpt.batching.stop_strings import cut_at_stop, stable_prefix


def test_a_text_is_cut_before_the_first_complete_stop_string() -> None:
    assert cut_at_stop("xabcab", ("abc", "b")) == "xa"
    assert cut_at_stop("xabcab", ("ab", "b")) == "x"
    assert cut_at_stop("banana", ("na", "an")) == "b"
    assert cut_at_stop("banana", ("x",)) == "banana"
    assert cut_at_stop("banana", ()) == "banana"


def test_a_stable_prefix_ends_before_a_possible_stop_string() -> None:
    assert stable_prefix("xab", ("abc",)) == "x"
    assert stable_prefix("xabab", ("abc", "babab")) == "xa"
    assert stable_prefix("banana", ("nab", "x")) == "bana"
    assert stable_prefix("banana", ("nano",)) == "bana"
    assert stable_prefix("banana", ("a",)) == "banana"  # it would have been cut already
    assert stable_prefix("banana", ()) == "banana"


def test_an_incomplete_character_is_not_part_of_a_stable_prefix() -> None:
    assert stable_prefix("ab\ufffd", ()) == "ab"
    assert stable_prefix("a\ufffdb", ()) == "a\ufffdb"
    assert stable_prefix("ab\ufffd", ("bc",)) == "a"


stops = st.lists(st.text("ab\ufffd", min_size=1, max_size=4), max_size=3).map(tuple)


@given(st.text("ab\ufffd", max_size=9), st.text("ab\ufffd", max_size=9), stops)
def test_later_text_does_not_change_a_stable_prefix(text, rest, stop) -> None:
    if cut_at_stop(text.rstrip("\ufffd"), stop) == text.rstrip("\ufffd"):  # it goes on
        assert cut_at_stop(text + rest, stop).startswith(stable_prefix(text, stop))


@given(st.text("ab", max_size=9), stops)
def test_only_the_necessary_text_is_held_back(text, stop) -> None:
    held_back = text[len(stable_prefix(text, stop)) :]
    assert not held_back or any(string.startswith(held_back) for string in stop)
