"""The n-gram loss agrees with a plain implementation and with known entropies."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.evaluation.ngram_loss import DISCOUNT, MAX_ORDER, ngram_bits

docs_of = st.lists(st.text("abé\U0001f600", max_size=6), min_size=1, max_size=5)


def plain_bits(train: list[str], held_out: list[str]) -> float:
    """Compute the same loss with dictionaries."""
    pairs = Counter(
        (doc[max(0, i - n) : i], "^" if i < n else "", (doc + "\n")[i], n)
        for doc in train
        for i in range(len(doc) + 1)
        for n in range(MAX_ORDER)
    )
    n_context: Counter[tuple] = Counter()
    n_kinds: Counter[tuple] = Counter()
    for (context, start, _, n), count in pairs.items():
        n_context[context, start, n] += count
        n_kinds[context, start, n] += 1
    n_distinct = len(set("".join(doc + "\n" for doc in train + held_out)))
    losses = []
    for order in range(1, MAX_ORDER + 1):
        logs = []
        for doc in held_out:
            for i, character in enumerate(doc + "\n"):
                p = 1 / n_distinct
                for n in range(order):
                    key = doc[max(0, i - n) : i], "^" if i < n else "", n
                    if n_context[key]:
                        count = pairs[(*key[:2], character, n)]
                        taken = DISCOUNT * n_kinds[key] * p
                        p = (max(count - DISCOUNT, 0) + taken) / n_context[key]
                logs.append(-math.log2(p))
        losses.append(sum(logs) / len(logs))
    return min(losses)


@given(docs_of, docs_of)
def test_the_loss_agrees_with_a_simple_implementation(
    train: list[str], held_out: list[str]
) -> None:
    assert ngram_bits(train, held_out) == pytest.approx(plain_bits(train, held_out))


def test_repeated_text_is_more_predictable_than_random_text() -> None:
    rng = random.Random(1)
    random_docs = ["".join(rng.choices("abcdefgh", k=100)) for _ in range(200)]
    assert ngram_bits(["abcdefgh"] * 1000, ["abcdefgh"]) < 0.01
    assert ngram_bits(random_docs[:100], random_docs[100:]) == pytest.approx(3, abs=0.1)
