"""How a document that is longer than the context is read. This module knows nothing of models."""

from collections.abc import Iterator, Sequence


def windows(
    tokens: Sequence[int], block_size: int, mask: bytes | None = None
) -> Iterator[tuple[Sequence[int], bytes | None]]:
    """Yield the pieces in which a document is scored, each token after the first once.

    Args:
        tokens: the document, 2 tokens or more.
        block_size: the context.
        mask: of the document, see `Corpus`.

    Yields:
        Up to block_size + 1 tokens and their mask, in which the predictions that an earlier piece
        has made do not count. Pieces advance by half a context, so that a prediction sees at least
        that much.
    """
    n_predictions, stride = len(tokens) - 1, max(1, block_size // 2)
    start, end = 0, min(block_size, n_predictions)
    yield tokens[: end + 1], mask[: end + 1] if mask else None
    while end < n_predictions:
        start += stride
        n_made = end - start
        end = min(start + block_size, n_predictions)
        new = mask[start + n_made + 1 : end + 1] if mask else b"\1" * (end - start - n_made)
        yield tokens[start : end + 1], bytes(n_made + 1) + new
