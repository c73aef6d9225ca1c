"""Tokenized documents in one flat array, eight bytes per token."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import overload

Tokens = Sequence[int]


class TokenDataset(Sequence[Tokens]):
    """A sequence of documents.

    Attributes:
        tokens: all of them.
        starts: where each document begins, and the end of the last.
        mask: 0 for each token that is only read, 1 for one whose prediction counts; empty while
            all do. That of a document's first token, which nothing predicts, says nothing.
    """

    def __init__(self, docs: Iterable[Tokens] = ()) -> None:
        self.tokens = array("q")
        self.starts = array("q", [0])
        self.mask = bytearray()
        for doc in docs:
            self.append(doc)

    def append(self, doc: Tokens, mask: bytes | None = None) -> None:
        """Add a document; without a mask, all of it counts."""
        if mask and not self.mask:
            self.mask.extend(b"\1" * len(self.tokens))
        self.tokens.extend(doc)
        self.starts.append(len(self.tokens))
        if mask or self.mask:
            self.mask.extend(mask or b"\1" * len(doc))

    def mask_of(self, place: int) -> bytes:
        """Return the mask of a document."""
        start, end = self.starts[place], self.starts[place + 1]
        return bytes(self.mask[start:end]) or b"\1" * (end - start)

    @property
    def n_predictions(self) -> int:
        """How many predictions count."""
        if not self.mask:
            return len(self.tokens) - len(self)
        return sum(self.mask) - sum(self.mask[start] for start in self.starts[:-1])

    @classmethod
    def of(cls, docs: Sequence[Tokens]) -> "TokenDataset":
        """Return the documents as a corpus, which they may already be."""
        return docs if isinstance(docs, TokenDataset) else cls(docs)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, place: int) -> Tokens: ...
    @overload
    def __getitem__(self, place: slice) -> "TokenDataset": ...
    def __getitem__(self, place: int | slice) -> "Tokens | TokenDataset":
        if isinstance(place, slice):
            places = range(len(self))[place]
            return self if len(places) == len(self) else self._part(places)
        i = range(len(self))[place]
        return self.tokens[self.starts[i] : self.starts[i + 1]]

    def _part(self, places: Iterable[int]) -> "TokenDataset":
        part = TokenDataset()
        for i in places:
            part.append(self[i], self.mask_of(i) if self.mask else None)
        return part

    @property
    def longest(self) -> int:
        """The number of tokens of the longest document."""
        return max(end - start for start, end in pairwise(self.starts))
