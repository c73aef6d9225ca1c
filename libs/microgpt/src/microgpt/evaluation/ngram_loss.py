"""Held-out loss of character n-gram models, which shows in a second how predictable a text is.

The probability of a character after a context of n - 1 characters is estimated from counts, with
absolute discounting (Ney, Essen & Kneser 1994): each count is reduced by DISCOUNT, and what is
taken away is given to the characters in proportion to their probability after a context that is one
character shorter.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DISCOUNT, MAX_ORDER = 0.75, 6  # longer contexts did not lower the loss of any text
END = "\n"  # mark after each document
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, close to 2**64 divided by the golden ratio

Hashes = NDArray[np.uint64]


def ngram_bits(train: Sequence[str], held_out: Sequence[str]) -> float:
    """Return the lowest loss of n-gram models up to order 6, in bits per character.

    The end of a document counts as a character.
    """
    characters, targets = _code_points(train), _code_points(held_out)
    n_distinct = len(np.unique(np.concatenate([characters, targets])))
    probabilities = np.full(len(targets), 1 / n_distinct)
    contexts = np.zeros_like(characters), np.zeros_like(targets)
    losses = []
    for order in range(1, MAX_ORDER + 1):
        probabilities = _interpolated(probabilities, characters, targets, *contexts)
        losses.append(float(-np.log2(probabilities).mean()))
        contexts = (
            _longer(contexts[0], characters, order, _positions(train)),
            _longer(contexts[1], targets, order, _positions(held_out)),
        )
    return min(losses)


def _code_points(docs: Sequence[str]) -> Hashes:
    content = "".join(doc + END for doc in docs)
    return np.frombuffer(content.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)


def _positions(docs: Sequence[str]) -> NDArray[np.int64]:
    """Return the position of each character within its document."""
    lengths = np.array([len(doc) + 1 for doc in docs])
    starts = np.cumsum(lengths) - lengths
    positions: NDArray[np.int64] = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    return positions


def _longer(
    contexts: Hashes, characters: Hashes, distance: int, positions: NDArray[np.int64]
) -> Hashes:
    """Return the hash of each context with the character at this distance before its target.

    Contexts do not go beyond the start of a document.
    """
    earlier = np.zeros_like(characters)
    earlier[distance:] = characters[:-distance]
    earlier[positions < distance] = 0  # the start of the document
    return np.where(
        positions < distance - 1, contexts, (contexts + earlier + np.uint64(1)) * FACTOR
    )


def _interpolated(
    shorter: NDArray[np.float64],
    characters: Hashes,
    targets: Hashes,
    seen: Hashes,
    contexts: Hashes,
) -> NDArray[np.float64]:
    """Return the probabilities of the targets, given those after a shorter context."""
    pairs = (seen ^ characters) * FACTOR
    kinds, firsts, counts = np.unique(pairs, return_index=True, return_counts=True)
    n_pair = _lookup(kinds, counts, (contexts ^ targets) * FACTOR)
    n_context = _lookup(*np.unique(seen, return_counts=True), contexts)
    n_kinds = _lookup(*np.unique(seen[firsts], return_counts=True), contexts)
    known = np.maximum(n_pair - DISCOUNT, 0) + DISCOUNT * n_kinds * shorter
    return np.where(n_context > 0, known / np.maximum(n_context, 1), shorter)


def _lookup(keys: Hashes, counts: NDArray[np.int64], wanted: Hashes) -> NDArray[np.int64]:
    """Return the count of each wanted key, or 0."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, counts[places], 0)
