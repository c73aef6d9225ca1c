"""Tokenized documents in one flat array."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import overload

Tokens = Sequence[int]


class TokenDataset(Sequence[Tokens]):
    """A sequence of tokenized documents with an optional loss mask."""

    def __init__(self, docs: Iterable[Tokens] = ()) -> None:
        self.tokens = array("q")
        self.starts = array("q", [0])  # start index of each document, then the end of the last
        # Loss mask: 1 for tokens that count, 0 for context. The mask is empty as long as all tokens
        # count. The value for a document's first token is unused, as that token is never predicted.
        self.mask = bytearray()
        for doc in docs:
            self.append(doc)

    def append(self, doc: Tokens, mask: bytes | None = None) -> None:
        """Append a document. Without a mask, all tokens of the document count."""
        if mask and not self.mask:
            self.mask.extend(b"\1" * len(self.tokens))
        self.tokens.extend(doc)
        self.starts.append(len(self.tokens))
        if mask or self.mask:
            self.mask.extend(mask or b"\1" * len(doc))

    def mask_of(self, i: int) -> bytes:
        """Return the loss mask of document i, one byte per token."""
        start, end = self.starts[i], self.starts[i + 1]
        return bytes(self.mask[start:end]) or b"\1" * (end - start)

    @property
    def n_predictions(self) -> int:
        """The number of predicted tokens that count towards the loss."""
        if not self.mask:
            return len(self.tokens) - len(self)
        return sum(self.mask) - sum(self.mask[start] for start in self.starts[:-1])

    @classmethod
    def of(cls, docs: Sequence[Tokens]) -> "TokenDataset":
        """Convert documents to a `TokenDataset`. An existing `TokenDataset` is returned as is."""
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
        ids = range(len(self))[i]
        if len(ids) == len(self):
            return self
        part = TokenDataset()
        for doc_id in ids:
            part.append(self[doc_id], self.mask_of(doc_id) if self.mask else None)
        return part

    @property
    def longest(self) -> int:
        """The number of tokens in the longest document."""
        return max(end - start for start, end in pairwise(self.starts))
