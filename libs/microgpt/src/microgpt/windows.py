"""How a document that is longer than the context is read. This module knows nothing of models."""

from collections.abc import Iterator, Sequence


def windows(tokens: Sequence[int], block_size: int) -> Iterator[tuple[Sequence[int], int]]:
    """Yield the pieces in which a document is scored, each token after the first once.

    Args:
        tokens: the document, 2 tokens or more.
        block_size: the context.

    Yields:
        Up to block_size + 1 tokens, and how many of their predictions an earlier piece has made.
        Pieces advance by half a context, so that a prediction sees at least that much.
    """
    n_predictions, stride = len(tokens) - 1, max(1, block_size // 2)
    start, end = 0, min(block_size, n_predictions)
    yield tokens[: end + 1], 0
    while end < n_predictions:
        start += stride
        n_made = end - start
        end = min(start + block_size, n_predictions)
        yield tokens[start : end + 1], n_made
