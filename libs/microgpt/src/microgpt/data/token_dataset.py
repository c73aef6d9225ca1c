"""Tokenized documents (chunks, if a document exceeds the context) in one flat array."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tokens = Sequence[int]


class TokenDataset(Sequence[Tokens]):
    """A sequence of tokenized documents with an optional loss mask and optional soft targets."""

    def __init__(self, docs: Iterable[Tokens] = ()) -> None:
        self.tokens = array("q")
        self.starts = array("q", [0])  # start index of each document, then the end of the last
        # Loss mask: 1 for tokens that count towards the loss, 0 for context; empty if all count.
        # The value for a document's first token is unused, because that token is never predicted.
        self.mask = bytearray()
        # Target distributions of shape (predictions, vocab_size); None if the targets are tokens.
        self.soft_targets: NDArray[np.float32] | None = None
        for doc in docs:
            self.append(doc)

    def append(self, doc: Tokens, mask: bytes | None = None) -> None:
        """Append a document. Without a mask, all of its tokens count towards the loss."""
        if mask and not self.mask:
            self.mask.extend(b"\1" * len(self.tokens))
        self.tokens.extend(doc)
        self.starts.append(len(self.tokens))
        if mask or self.mask:
            self.mask.extend(mask or b"\1" * len(doc))

    def mask_of(self, i: int) -> bytes | None:
        """Return the loss mask of document i, one byte per token, or None if all tokens count."""
        return bytes(self.mask[self.starts[i] : self.starts[i + 1]]) or None

    def targets_of(self, i: int) -> Sequence[int | list[float] | None]:
        """Return the target of each prediction in document i, with None for masked targets."""
        start, end = self.starts[i], self.starts[i + 1]
        targets: Sequence[int | list[float]] = self.tokens[start + 1 : end]
        if self.soft_targets is not None:  # a document has one prediction fewer than tokens
            targets = self.soft_targets[start - i : end - i - 1].tolist()
        if mask := self.mask_of(i):
            return [x if counts else None for x, counts in zip(targets, mask[1:], strict=True)]
        return targets

    @property
    def n_predictions(self) -> int:
        """The number of predicted tokens that count towards the loss."""
        if not self.mask:
            return len(self.tokens) - len(self)
        return sum(self.mask) - sum(self.mask[start] for start in self.starts[:-1])

    @classmethod
    def from_documents(cls, docs: Sequence[Tokens]) -> "TokenDataset":
        """Convert documents to a `TokenDataset`; return a `TokenDataset` unchanged."""
        return docs if isinstance(docs, TokenDataset) else cls(docs)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, i: int) -> Tokens: ...
    @overload
    def __getitem__(self, i: slice) -> "TokenDataset": ...
    def __getitem__(self, i: int | slice) -> "Tokens | TokenDataset":
        if not isinstance(i, slice):
            doc_id = range(len(self))[i]
            return self.tokens[self.starts[doc_id] : self.starts[doc_id + 1]]
        first, end, _ = i.indices(len(self))  # callers use only a step of 1
        if end - first == len(self):
            return self
        part, (start, *starts) = TokenDataset(), self.starts[first : end + 1]
        part.tokens = self.tokens[start : self.starts[end]]
        part.starts.extend(each - start for each in starts)
        part.mask = self.mask[start : self.starts[end]]
        if self.soft_targets is not None:
            part.soft_targets = self.soft_targets[start - first : self.starts[end] - end]
        return part

    @property
    def longest(self) -> int:
        """The number of tokens in the longest document."""
        return max(end - start for start, end in pairwise(self.starts))
