from itertools import chain, repeat

from microgpt.batching.sample_filter import GIVE_UP_AFTER, select


def test_what_is_known_or_was_there_before_is_left_out() -> None:
    texts = ["ann", "eve", "ann", "mia", "eve", "zoe"]
    assert list(select(texts, unique=True, known={"mia"})) == ["ann", "eve", "zoe"]
    assert list(select(texts, unique=False, known={"mia"})) == ["ann", "eve", "ann", "eve", "zoe"]


def test_the_search_is_given_up_when_many_in_a_row_are_nothing_new() -> None:
    almost = chain(["ann"], repeat("ann", GIVE_UP_AFTER - 1), ["eve"], repeat("ann"))
    assert list(select(almost, unique=True, known=())) == ["ann", "eve"]
