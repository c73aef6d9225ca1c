"""Split documents into chunks for training and scoring."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from microgpt.config import TextKind
from microgpt.data.sliding_windows import (
    Chunk,
    SlidingWindows,
    default_stride,
    n_windows,
    turn_windows,
)
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import ROLES, Document, Tokenizer, are_texts, count_all
from microgpt.errors import ConfigError

Chunks = SlidingWindows | list[Chunk]  # the chunks of one document


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
        """Return the encoded chunks with these indices; the chunks of a document are consecutive.

        Raises:
            TokenizerError: a document contains an unknown character.
        """
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
            chunks = long.get(i) or _cut(self.docs[i], self.tokenizer, self.block_size)
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
                chunks = _cut(doc, self.tokenizer, self.block_size)
                n += sum(len(tokens) - 1 for tokens, _ in chunks) - length
        return n

    @property
    def _stride(self) -> int:
        """The number of tokens between the starts of consecutive chunks of a text."""
        return self.block_size if self.text == "stream" else default_stride(self.block_size)

    @cached_property
    def _firsts(self) -> Sequence[int]:
        """The first chunk index of each document, then the total; empty if each is one chunk."""
        if self.text == "lines" and not self.n_long:
            return ()
        size, stride = self.block_size, self._stride
        counts = (
            n_windows(length, size, stride)
            if isinstance(doc, str) or length <= size
            else len(_cut(doc, self.tokenizer, size))
            for doc, length in zip(self.docs, self.lengths, strict=True)
        )
        return array("q", accumulate(counts, initial=0))

    @cached_property
    def _stretches(self) -> Sequence[SlidingWindows]:
        """The chunks of each document of running text."""
        size = self.block_size
        return [_cut_stream(doc, self.tokenizer, size, stride=size) for doc in self.docs]


def scored(
    docs: Iterable[Document], tokenizer: Tokenizer, block_size: int, *, text: TextKind
) -> Iterator[Iterable[Chunk]]:
    """Yield the chunks of each document for scoring; see `ChunkedDataset` for the arguments."""
    cut = _cut_stream if text == "stream" else _cut
    return (cut(doc, tokenizer, block_size) for doc in docs)


def _cut_stream(
    doc: Document, tokenizer: Tokenizer, block_size: int, stride: int | None = None
) -> SlidingWindows:
    """Return the chunks of running text."""
    if not isinstance(doc, str):
        raise ConfigError('conversations cannot be read as running text; use text="lines"')
    tokens = array("i", tokenizer.encode_document(doc)[:-1])  # without the end token
    return SlidingWindows(tokens, block_size, first=tokenizer.bos_id, stride=stride)


def _cut(doc: Document, tokenizer: Tokenizer, block_size: int) -> Chunks:
    """Return the chunks of a document."""
    tokens, mask = tokenizer.encode_document(doc), tokenizer.mask(doc)
    if mask is None:
        return cut_text(tokens, block_size)
    if len(tokens) <= block_size + 1:
        return [(tokens, mask)]
    return turn_windows(tokens, block_size, mask, [tokenizer.role_id(role) for role in ROLES])


def cut_text(tokens: Sequence[int], block_size: int, *, first: int | None = None) -> Chunks:
    """Return the chunks of a text's tokens; `first` replaces the first token of each chunk."""
    if 1 < len(tokens) <= block_size + 1:
        return [(tokens, None)]
    return SlidingWindows(tokens, block_size, first=first)
