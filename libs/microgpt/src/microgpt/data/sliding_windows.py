"""Sliding windows over texts and conversations longer than the context."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from microgpt.data.chat_truncation import room_for_turns

Chunk = tuple[Sequence[int], bytes | None]  # (up to block_size + 1 tokens, loss mask)


class SlidingWindows:
    """Overlapping chunks of a sequence; each token except the first is predicted exactly once.

    Tokens that an earlier chunk predicts are masked. The default stride is half the context, so
    predictions after the first chunk see at least half a context of preceding tokens.
    """

    def __init__(
        self,
        tokens: Sequence[int],
        block_size: int,
        *,
        first: int | None = None,
        stride: int | None = None,
    ) -> None:
        """Create the chunks of a sequence. Each chunk is computed on access.

        Args:
            tokens: the tokens; the first is not predicted.
            first: token that replaces the first token of each chunk.
            stride: number of tokens between the starts of consecutive chunks, at most block_size.
        """
        self._tokens, self._first = tokens, first
        self._block_size, self._stride = block_size, stride or default_stride(block_size)

    def __len__(self) -> int:
        return n_windows(self.n_predictions, self._block_size, self._stride)

    @property
    def n_predictions(self) -> int:
        """The number of predicted tokens."""
        return len(self._tokens) - 1

    def __getitem__(self, i: int) -> Chunk:
        start, n_made = i * self._stride, self._block_size - self._stride if i else 0
        tokens = self._tokens[start : start + self._block_size + 1]
        if self._first is not None:
            tokens = [self._first, *tokens[1:]]
        n_new = len(tokens) - n_made - 1
        return tokens, bytes(n_made + 1) + b"\1" * n_new if n_made else None

    def __iter__(self) -> Iterator[Chunk]:
        return map(self.__getitem__, range(len(self)))


def default_stride(block_size: int) -> int:
    """Return the default stride: half the context, but at least 1."""
    return max(1, block_size // 2)


def n_windows(n_predictions: int, block_size: int, stride: int) -> int:
    """Return the number of chunks needed to predict n_predictions tokens."""
    if not n_predictions:
        return 0
    return 1 + max(0, -((block_size - n_predictions) // stride))


def turn_windows(
    tokens: Sequence[int], block_size: int, mask: bytes, roles: Sequence[int]
) -> list[Chunk]:
    """Return the training chunks of a conversation, each in the format of a chat prompt.

    A chunk is [BOS, turns…] and starts with a user turn. Turns repeated from earlier chunks fill up
    to half the context (three quarters for a single question); as many new turns as fit follow. The
    rest of a long turn, and a reply to a question that is too long for a prompt, are split as in
    `SlidingWindows`. Each token that counts towards the loss is predicted in exactly one chunk, and
    each chunk predicts at least one such token.

    Args:
        tokens: tokens of the conversation: [BOS, turns…, BOS].
        mask: loss mask of the tokens, as in `TokenDataset`.
        roles: role tokens; the first is the user token.
    """
    # Where each turn starts, and where the last one ends.
    bounds = [*(i for i, token in enumerate(tokens) if token in roles), len(tokens)]
    chunks: list[Chunk] = []
    end = 1  # end of the tokens covered so far
    while (new := mask.find(1, end)) >= 0:
        turn = bisect_right(bounds, new) - 1
        begin = _first_turn(tokens, block_size, turn, bounds, roles[0])
        if begin is not None and end <= bounds[turn] and new < begin + block_size:
            last = bisect_right(bounds, begin + block_size) - 1  # index of the last end that fits
            end = bounds[last] if last > turn else begin + block_size
            head = [tokens[0]]
        else:
            begin = max(0, new - 1 - (block_size - default_stride(block_size)))
            end = min(begin + block_size + 1, bounds[turn + 1])
            head = []
        end = mask.rfind(1, new, end) + 1
        chunk = [*head, *tokens[begin:end]]
        chunks.append((chunk, bytes(len(chunk) - (end - new)) + mask[new:end]))
    return chunks


def _first_turn(
    tokens: Sequence[int], block_size: int, turn: int, bounds: Sequence[int], user: int
) -> int | None:
    """Return the start of the chunk for a turn, or None if the question does not fit."""
    near = bisect_left(bounds, bounds[turn] - block_size // 2)
    for begin in bounds[near : turn + 1]:
        if tokens[begin] == user and bounds[turn + 1] - begin <= block_size:
            return begin
    question = next((start for start in bounds[turn::-1] if tokens[start] == user), None)
    is_room = question is not None and bounds[turn] - question <= room_for_turns(block_size)
    return question if is_room else None
