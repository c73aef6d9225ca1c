from itertools import chain, repeat

from microgpt.batching.sample_filter import GIVE_UP_AFTER, select


def test_known_and_repeated_samples_are_filtered_out() -> None:
    texts = ["ann", "eve", "ann", "mia", "eve", "zoe"]
    assert list(select(texts, unique=True, known={"mia"})) == ["ann", "eve", "zoe"]
    assert list(select(texts, unique=False, known={"mia"})) == ["ann", "eve", "ann", "eve", "zoe"]


def test_sampling_ends_after_many_samples_without_a_new_one() -> None:
    almost = chain(["ann"], repeat("ann", GIVE_UP_AFTER - 1), ["eve"], repeat("ann"))
    assert list(select(almost, unique=True, known=())) == ["ann", "eve"]
