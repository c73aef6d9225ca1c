"""Tests that compare the n-gram model with a simple implementation of the same smoothing."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.ngram_model import MIN_DISCOUNT, N_DISCOUNTS, NgramModel
from microgpt.data.token_dataset import TokenDataset

V, START = 4, 3  # vocabulary size; token that begins and ends a document
ORDER = 3

documents = st.lists(
    st.lists(st.integers(0, V - 2), max_size=5).map(lambda tokens: [START, *tokens, START]),
    min_size=1,
    max_size=6,
)
Counts = dict[tuple[int, ...], dict[int, int]]


def plain_counts(docs: list[list[int]]) -> list[Counts]:
    """Return the Kneser-Ney counts of the tokens after each context, by context length."""
    seen: list[dict] = [defaultdict(lambda: defaultdict(int)) for _ in range(ORDER)]
    before: list[dict] = [defaultdict(lambda: defaultdict(set)) for _ in range(ORDER)]
    for doc in docs:
        for i, token in enumerate(doc[1:], start=1):
            for length in range(min(i, ORDER - 1) + 1):
                context = tuple(doc[i - length : i])
                seen[length][context][token] += 1
                if length < ORDER - 1 and i > length:
                    before[length][context][token].add(doc[i - length - 1])
    for length, contexts in enumerate(before):
        for context, tokens in contexts.items():
            for token, distinct in tokens.items():
                seen[length][context][token] = len(distinct)
    return seen


def discounts(counts: Counts) -> list[float]:
    """Return the Kneser-Ney discounts for counts of 1, 2, and 3 or more."""
    every = [n for tokens in counts.values() for n in tokens.values()]
    n = [0, *(every.count(k) for k in range(1, N_DISCOUNTS + 2))]
    y = n[1] / max(1, n[1] + 2 * n[2])
    each = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else k for k in range(1, N_DISCOUNTS + 1)]
    return [min(max(MIN_DISCOUNT, d), k) for k, d in enumerate(each, start=1)]


def plain_probability(seen: list[Counts], before: list[int], token: int) -> float:
    """Return the probability of a token, given the preceding tokens of its document."""
    p = 1 / V
    for length in range(min(len(before), ORDER - 1) + 1):
        tokens = seen[length].get(tuple(before[len(before) - length :]))
        if not tokens:
            break
        taken = discounts(seen[length])
        total = sum(tokens.values())
        left = sum(taken[min(n, N_DISCOUNTS) - 1] for n in tokens.values())
        n = tokens.get(token, 0)
        p = (n - (taken[min(n, N_DISCOUNTS) - 1] if n else 0) + left * p) / total
    return p


@given(documents, documents)
def test_the_ngram_model_agrees_with_a_simple_implementation(train, held_out) -> None:
    found = NgramModel(TokenDataset(train), V, ORDER).probabilities(TokenDataset(held_out))
    seen = plain_counts(train)
    expected = [
        [plain_probability(seen, doc[:i], token) for token in range(V)]
        for doc in held_out
        for i in range(1, len(doc))
    ]
    assert found == pytest.approx(np.array(expected))
    assert found.sum(axis=1) == pytest.approx(1)
    assert found.min() > 0


def test_tokens_excluded_by_a_mask_are_not_counted() -> None:
    doc = [START, 0, 1, 0, 2, 1, START]
    whole, windows = TokenDataset([doc]), TokenDataset()
    windows.append(doc[:4])
    windows.append([0, 1, 0, 2, 1, START], bytes([0, 0, 0, 1, 1, 1]))
    models = [NgramModel(each, V, order=3) for each in (whole, windows)]
    one, other = (model.probabilities(whole) for model in models)
    assert one == pytest.approx(other)
