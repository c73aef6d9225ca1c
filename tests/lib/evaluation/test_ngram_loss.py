"""The n-gram loss agrees with known entropies, for any characters."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.evaluation.ngram_loss import ngram_bits

docs_of = st.lists(st.text("abé\U0001f600\ud800", max_size=6), min_size=1, max_size=5)


@given(docs_of, docs_of)
def test_the_ngram_loss_of_any_documents_is_finite(train: list[str], held_out: list[str]) -> None:
    assert 0 <= ngram_bits(train, held_out) < 10


def test_the_ngram_loss_is_per_character_and_counts_the_end() -> None:
    # "a" and the end have one count each, all of which is discounted; "b" has none.
    assert ngram_bits(["a"], ["b"]) == pytest.approx(math.log2(3))
    assert ngram_bits(["a"], ["b", "b"]) == pytest.approx(math.log2(3))


def test_repeated_text_is_more_predictable_than_random_text() -> None:
    rng = random.Random(1)
    random_docs = ["".join(rng.choices("abcdefgh", k=100)) for _ in range(200)]
    assert ngram_bits(["abcdefgh"] * 1000, ["abcdefgh"]) < 0.05
    counted, asked = random_docs[:100], random_docs[100:]
    assert ngram_bits(counted, asked, order=1) == pytest.approx(3, abs=0.1)
    assert 3 < ngram_bits(counted, asked) < 3.25  # longer contexts are soon too rare to help
