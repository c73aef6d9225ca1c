"""N-gram models of tokens, with modified Kneser-Ney smoothing.

An n-gram model predicts a token from the counts of tokens after the same n - 1 tokens, the context.
Each count is discounted, and the freed probability mass is distributed according to the model of
the context without its first token, recursively down to the empty context. In shorter contexts, a
count is the number of distinct tokens that precede the context and the token, rather than the
number of occurrences (Kneser & Ney 1995). With three discounts, this is the best method compared by
Chen & Goodman (1999, section 3). A context does not extend beyond the start of a document.

Shapes: N = predictions in a dataset, V = vocab_size.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from microgpt.data.token_dataset import TokenDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]

ORDER = 6  # the n of the n-grams; a larger n rarely lowers the loss
N_DISCOUNTS = 3  # one discount each for counts of 1, 2 and at least 3
MAX_PROBABILITIES = 2**21  # maximum number of probabilities computed at once; bounds the memory
MIN_DISCOUNT = 0.2  # leaves some probability for unseen tokens


class NgramModel:
    """An n-gram model of tokenized documents.

    The first token of each document and masked tokens are not predicted, but appear in contexts.
    """

    def __init__(self, docs: TokenDataset, vocab_size: int, order: int = ORDER) -> None:
        """Count the tokens after each context of up to `order` - 1 tokens."""
        self.vocab_size = vocab_size
        tokens, places = _tokens_and_places(docs)
        mask = np.frombuffer(docs.mask, np.uint8) if docs.mask else 1
        at = np.flatnonzero(places * mask)  # indices of the predicted tokens
        contexts, keys = np.zeros(len(at), np.int64), np.zeros(1, np.int64)
        found: list[tuple[Integers, Integers, Integers]] = []  # per level: contexts, pairs, counts
        for length in range(order):
            if length:
                shorter, is_long = contexts, places[at] >= length
                at, shorter = at[is_long], shorter[is_long]
                extended = shorter * vocab_size + tokens[at - length]
                keys, contexts = np.unique(extended, return_inverse=True)
            if not len(at):
                break
            pairs, first, n = np.unique(
                contexts * vocab_size + tokens[at], return_index=True, return_counts=True
            )
            if length:  # in the previous level, count the distinct tokens before each pair
                _, shorter_pairs, counts = found[-1]
                longer = shorter[first] * vocab_size + tokens[at[first]]
                places_of = np.searchsorted(shorter_pairs, longer)
                n_before = np.bincount(places_of, minlength=len(shorter_pairs))
                np.copyto(counts, n_before, where=n_before > 0)
            found.append((keys, pairs, n))
        self._levels = [_smoothed(*each, vocab_size) for each in found]

    def add_probabilities(
        self, docs: TokenDataset, out: "NDArray[np.float32]", shares: "Floats"
    ) -> None:
        """Add each prediction's probabilities, times its share (N,), to `out` (N, V)."""
        done, n_docs = 0, max(1, MAX_PROBABILITIES // max(1, docs.longest * self.vocab_size))
        for first in range(0, len(docs), n_docs):
            found = self.probabilities(docs[first : min(first + n_docs, len(docs))])
            rows = slice(done, done := done + len(found))
            out[rows] += shares[rows, None] * found

    def probabilities(self, docs: TokenDataset) -> "Floats":
        """Return the probabilities of all tokens at each prediction: (N, V)."""
        tokens, places = _tokens_and_places(docs)
        at = np.flatnonzero(places)
        found = np.full((len(at), self.vocab_size), 1 / self.vocab_size)
        # rows: predictions whose context was seen in training; contexts: the index of each context.
        rows, contexts = np.arange(len(at)), np.zeros(len(at), np.int64)
        for length, level in enumerate(self._levels):
            if length:
                is_long = places[at[rows]] >= length
                rows, contexts = rows[is_long], contexts[is_long]
                extended = contexts * self.vocab_size + tokens[at[rows] - length]
                contexts = np.minimum(
                    np.searchsorted(level.contexts, extended), len(level.contexts) - 1
                )
                is_known = level.contexts[contexts] == extended
                rows, contexts = rows[is_known], contexts[is_known]
            found[rows] *= level.left[contexts, None]
            n = level.starts[contexts + 1] - level.starts[contexts]
            entries = np.arange(n.sum()) + np.repeat(level.starts[contexts] - np.cumsum(n) + n, n)
            found[np.repeat(rows, n), level.tokens[entries]] += level.shares[entries]
        return found


@dataclass(frozen=True)
class _Level:
    """The probabilities of tokens after the contexts of one length.

    A context is encoded as the index of the context without its first token, times V, plus that
    token. A pair is encoded as the index of a context, times V, plus the token after it.
    """

    contexts: "Integers"  # codes of the contexts, sorted
    starts: "Integers"  # index of the first pair of each context, then the number of pairs
    tokens: "Integers"  # token of each pair
    shares: "Floats"  # discounted probability of each pair
    left: "Floats"  # probability left for shorter contexts, per context


def _smoothed(
    contexts: "Integers", pairs: "Integers", counts: "Integers", vocab_size: int
) -> _Level:
    """Return the probabilities of a level, with modified Kneser-Ney discounts."""
    n = np.bincount(np.minimum(counts, N_DISCOUNTS + 2), minlength=N_DISCOUNTS + 3).tolist()
    y = n[1] / max(1, n[1] + 2 * n[2])
    each = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else k for k in range(1, N_DISCOUNTS + 1)]
    discounts = np.clip(each, MIN_DISCOUNT, range(1, N_DISCOUNTS + 1))
    taken = discounts[np.minimum(counts, N_DISCOUNTS) - 1]
    starts = np.searchsorted(pairs, np.arange(len(contexts) + 1) * vocab_size)
    totals = np.add.reduceat(counts, starts[:-1])
    return _Level(
        contexts,
        starts,
        tokens=pairs % vocab_size,
        shares=(counts - taken) / np.repeat(totals, np.diff(starts)),
        left=np.add.reduceat(taken, starts[:-1]) / totals,
    )


def _tokens_and_places(docs: TokenDataset) -> "tuple[Integers, Integers]":
    """Return all tokens, and the position of each in its document, counted from 0."""
    tokens, starts = np.array(docs.tokens, np.int64), np.array(docs.starts, np.int64)
    return tokens, np.arange(len(tokens)) - np.repeat(starts[:-1], np.diff(starts))
