"""Documents as tokens, one after another in one array: eight bytes a token, whatever their number.

This module knows nothing of what the tokens stand for.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import overload

Tokens = Sequence[int]


class Corpus(Sequence[Tokens]):
    """A sequence of documents.

    Attributes:
        tokens: all of them.
        starts: where each document begins, and the end of the last.
    """

    def __init__(self, docs: Iterable[Tokens] = ()) -> None:
        self.tokens = array("q")
        self.starts = array("q", [0])
        for doc in docs:
            self.append(doc)

    def append(self, doc: Tokens) -> None:
        """Add a document."""
        self.tokens.extend(doc)
        self.starts.append(len(self.tokens))

    @classmethod
    def of(cls, docs: Sequence[Tokens]) -> "Corpus":
        """Return the documents as a corpus, which they may already be."""
        return docs if isinstance(docs, Corpus) else cls(docs)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, place: int) -> Tokens: ...
    @overload
    def __getitem__(self, place: slice) -> "Corpus": ...
    def __getitem__(self, place: int | slice) -> "Tokens | Corpus":
        if isinstance(place, slice):
            places = range(len(self))[place]
            return self if len(places) == len(self) else Corpus(self[i] for i in places)
        i = range(len(self))[place]
        return self.tokens[self.starts[i] : self.starts[i + 1]]

    @property
    def longest(self) -> int:
        """The number of tokens of the longest document."""
        return max(end - start for start, end in pairwise(self.starts))
