"""How a sequence that is longer than the context is read."""

from collections.abc import Iterator, Sequence

Chunk = tuple[Sequence[int], bytes | None]  # up to block_size + 1 tokens, and their mask


class SlidingWindows:
    """The pieces of a sequence: each token after the first counts in one of them.

    In a piece the predictions that an earlier one has made do not count. By default pieces advance
    by half a context, so that a prediction sees at least that much.
    """

    def __init__(
        self,
        tokens: Sequence[int],
        block_size: int,
        mask: bytes | None = None,
        *,
        first: int | None = None,
        stride: int | None = None,
    ) -> None:
        """Take a sequence.

        Args:
            tokens: 2 or more.
            mask: of the tokens, see `TokenDataset`.
            first: the token that each piece begins with, in place of the one that is there.
            stride: the tokens by which pieces advance, up to block_size.
        """
        self._tokens, self._mask, self._first = tokens, mask, first
        self._block_size, self._stride = block_size, stride or half(block_size)

    def __len__(self) -> int:
        return n_windows(len(self._tokens) - 1, self._block_size, self._stride)

    def __getitem__(self, i: int) -> Chunk:
        start, n_made = i * self._stride, self._block_size - self._stride if i else 0
        end, new = start + self._block_size + 1, start + n_made + 1
        tokens = self._tokens[start:end]
        if self._first is not None:
            tokens = [self._first, *tokens[1:]]
        if not (n_made or self._mask):
            return tokens, None
        n_new = len(tokens) - n_made - 1
        return tokens, bytes(n_made + 1) + (self._mask[new:end] if self._mask else b"\1" * n_new)

    def __iter__(self) -> Iterator[Chunk]:
        return map(self.__getitem__, range(len(self)))


def half(block_size: int) -> int:
    """Return by how much pieces advance."""
    return max(1, block_size // 2)


def n_windows(n_predictions: int, block_size: int, stride: int) -> int:
    """Return in how many pieces so many predictions are made."""
    return 1 + max(0, -((block_size - n_predictions) // stride))
