"""Tokenized documents in one flat array."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import overload

Tokens = Sequence[int]


class TokenDataset(Sequence[Tokens]):
    """A sequence of tokenized documents."""

    def __init__(self, docs: Iterable[Tokens] = ()) -> None:
        self.tokens = array("q")
        self.starts = array("q", [0])  # start of each document, and the end of the last
        # Loss mask: 1 for each token that counts, 0 for context; empty while all count. The value
        # at a document's first token, which is never predicted, has no meaning.
        self.mask = bytearray()
        for doc in docs:
            self.append(doc)

    def append(self, doc: Tokens, mask: bytes | None = None) -> None:
        """Add a document; without a mask, all its tokens count."""
        if mask and not self.mask:
            self.mask.extend(b"\1" * len(self.tokens))
        self.tokens.extend(doc)
        self.starts.append(len(self.tokens))
        if mask or self.mask:
            self.mask.extend(mask or b"\1" * len(doc))

    def mask_of(self, i: int) -> bytes:
        """Return the mask of a document."""
        start, end = self.starts[i], self.starts[i + 1]
        return bytes(self.mask[start:end]) or b"\1" * (end - start)

    @property
    def n_predictions(self) -> int:
        """The number of predictions that count."""
        if not self.mask:
            return len(self.tokens) - len(self)
        return sum(self.mask) - sum(self.mask[start] for start in self.starts[:-1])

    @classmethod
    def of(cls, docs: Sequence[Tokens]) -> "TokenDataset":
        """Convert documents to a `TokenDataset`; one is returned unchanged."""
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
        """The number of tokens of the longest document."""
        return max(end - start for start, end in pairwise(self.starts))
