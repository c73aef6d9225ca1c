"""Tokenized documents in one flat array, and documents that are split into chunks on demand."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, overload

from microgpt.config import TextKind
from microgpt.data.context import (
    Chunks,
    SlidingWindows,
    chunks_of,
    cut_stream,
    default_stride,
    n_windows,
)
from microgpt.data.tokenizer import Document, Tokenizer, are_texts, count_all

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tokens = Sequence[int]


class TokenDataset(Sequence[Tokens]):
    """A sequence of tokenized documents with an optional loss mask and optional soft targets."""

    def __init__(self, docs: Iterable[Tokens] = ()) -> None:
        self.tokens = array("q")
        self.starts = array("q", [0])  # start index of each document, then the end of the last
        # Loss mask: 1 for tokens that count, 0 for context. The mask is empty as long as all tokens
        # count. The value for a document's first token is unused, as that token is never predicted.
        self.mask = bytearray()
        # Target distribution of each prediction, (predictions, V); None if the targets are tokens.
        self.soft_targets: NDArray[np.float32] | None = None
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

    def mask_of(self, i: int) -> bytes | None:
        """Return the loss mask of document i, one byte per token, or None if all tokens count."""
        return bytes(self.mask[self.starts[i] : self.starts[i + 1]]) or None

    def targets_of(self, i: int) -> Sequence[int | list[float] | None]:
        """Return the target after each token of document i except the last; None if masked."""
        start, end = self.starts[i], self.starts[i + 1]
        targets: Sequence[int | list[float]] = self.tokens[start + 1 : end]
        if self.soft_targets is not None:  # a document has one prediction less than tokens
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
        first, end, _ = i.indices(len(self))  # the step is always 1
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


@dataclass(frozen=True)
class ChunkedDataset:
    """The training chunks of documents, in document order.

    A document that fits into the context is one chunk. Tokens are counted and documents encoded
    on demand; counts and the tokens of running text are cached.
    """

    docs: Sequence[Document]
    tokenizer: Tokenizer
    block_size: int
    text: TextKind

    def __len__(self) -> int:
        return self._firsts[-1] if self._firsts else len(self.docs)

    def encode(self, order: Iterable[int]) -> TokenDataset:
        """Return the encoded chunks with these indices; those of a document are consecutive."""
        dataset, firsts = TokenDataset(), self._firsts
        if not firsts:
            for i in order:
                doc = self.docs[i]
                dataset.append(self.tokenizer.encode_document(doc), self.tokenizer.mask(doc))
            return dataset
        # The chunks of long documents by document index.
        long: dict[int, Chunks] = dict(enumerate(self._stretches)) if self.text == "stream" else {}
        for place in order:
            i = bisect_right(firsts, place) - 1
            chunks = long.get(i) or self._chunks(self.docs[i])
            if len(chunks) > 1:
                long[i] = chunks
            dataset.append(*chunks[place - firsts[i]])
        return dataset

    @cached_property
    def lengths(self) -> Sequence[int]:
        """The number of predicted tokens per document."""
        is_char = self.tokenizer.kind == "char" and not self.tokenizer.folds
        if is_char and are_texts(self.docs):
            # Fast path: counting tokens would add 5 ms to a 7 ms run with Karpathy's settings.
            n_ends = 1 if self.text == "lines" else 0
            return array("q", [len(doc) + n_ends for doc in self.docs])
        if self.text == "stream":
            return array("q", [stretch.n_predictions for stretch in self._stretches])
        count = self.tokenizer.count
        return array("q", (count_all(doc, self.text, count) for doc in self.docs))

    @cached_property
    def n_long(self) -> int:
        """The number of documents longer than the context."""
        return sum(1 for n in self.lengths if n > self.block_size)

    @cached_property
    def n_tokens(self) -> int:
        """The number of predicted tokens in all chunks, including masked tokens."""
        n, n_repeated = sum(self.lengths), self.block_size - self._stride
        places = pairwise(self._firsts)  # none if each document is one chunk
        for doc, length, (first, end) in zip(self.docs, self.lengths, places, strict=False):
            if isinstance(doc, str):
                n += max(0, end - first - 1) * n_repeated
            elif length > self.block_size:
                n += sum(len(tokens) - 1 for tokens, _ in self._chunks(doc)) - length
        return n

    @property
    def _stride(self) -> int:
        """The number of tokens between the starts of consecutive chunks of a text."""
        return self.block_size if self.text == "stream" else default_stride(self.block_size)

    def _chunks(self, doc: Document) -> Chunks:
        return chunks_of(doc, self.tokenizer, self.block_size, self.text)

    @cached_property
    def _firsts(self) -> Sequence[int]:
        """The first chunk index of each document, then the total; empty if each is one chunk."""
        if self.text == "lines" and not self.n_long:
            return ()
        size, stride = self.block_size, self._stride
        counts = (
            n_windows(length, size, stride)
            if isinstance(doc, str) or length <= size
            else len(self._chunks(doc))
            for doc, length in zip(self.docs, self.lengths, strict=True)
        )
        return array("q", accumulate(counts, initial=0))

    @cached_property
    def _stretches(self) -> Sequence[SlidingWindows]:
        """The chunks of each document of running text."""
        size = self.block_size
        return [cut_stream(doc, self.tokenizer, size, stride=size) for doc in self.docs]
