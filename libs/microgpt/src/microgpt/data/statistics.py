"""Dataset statistics: document lengths, characters, duplicates, truncation, estimated sizes."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil

from microgpt.config import TextKind
from microgpt.data.folding import folded, plain
from microgpt.data.tokenizer import CharTokenizer, Document, Tokenizer, count_characters, texts_of
from microgpt.errors import DataError

N_FREQUENT = 5  # maximum number of duplicates to list
RARE = 10  # characters with fewer occurrences are learned poorly
MAX_SAMPLED = 10_000  # number of evenly spaced documents whose lengths are estimated
MAX_CHARACTERS = 1_000_000  # approximate number of characters to tokenize for an estimate


@dataclass(frozen=True)
class DataReport:
    """Statistics of documents.

    The length of a document is its number of predicted tokens: the text, two special tokens per
    turn of a conversation, and the end token. A document fits into a context of this length.
    """

    tokenizer: Tokenizer  # tokenizer used to compute the lengths
    n_docs: int
    n_repeats: int  # number of documents that are duplicates of an earlier document
    n_alike: int  # number of others that differ from an earlier one only in form; see `plain`
    most_frequent: Sequence[tuple[Document, int]]  # most frequent duplicates, with their counts
    lengths: Mapping[int, int]  # number of documents per length, sorted by length
    char_counts: Mapping[str, int]  # number of occurrences per character, sorted by character

    @property
    def n_tokens(self) -> int:
        """The number of predicted tokens in all documents."""
        return sum(length * n for length, n in self.lengths.items())

    @property
    def rare(self) -> dict[str, int]:
        """Characters with fewer than 10 occurrences, with their counts, rarest first."""
        rare = [(char, n) for char, n in self.char_counts.items() if n < RARE]
        return dict(sorted(rare, key=lambda item: item[1]))

    def percentile(self, percent: int) -> int:
        """Return a percentile of the document lengths, using the nearest-rank method."""
        rank = max(1, -(-percent * self.n_docs // 100))
        for length, n in self.lengths.items():
            rank -= n
            if rank <= 0:
                return length
        raise ValueError(f"percent must be from 0 to 100, got {percent}")


@dataclass(frozen=True)
class Sizes:
    """Sizes estimated from a sample of documents, or of stretches of running text."""

    n_docs: int
    n_characters: int
    lengths: Sequence[float]  # number of predicted tokens of each sampled document, ascending

    @property
    def n_tokens(self) -> float:
        """The number of predicted tokens in all documents."""
        return self.mean_length * self.n_docs

    @property
    def mean_length(self) -> float:
        """The mean number of predicted tokens per document."""
        return sum(self.lengths) / max(1, len(self.lengths))

    def quantile(self, share: float) -> float:
        """Return the length that the given share of the documents does not exceed."""
        return self.lengths[int(share * (len(self.lengths) - 1))] if self.lengths else 0

    def chunk_length(self, context: int) -> float:
        """Return the mean number of tokens per chunk if longer documents are split."""
        n_chunks = sum(max(1, ceil(length / context)) for length in self.lengths)
        return max(1.0, sum(self.lengths) / max(1, n_chunks))


def describe(docs: Sequence[Document], tokenizer: Tokenizer | None = None) -> DataReport:
    """Return statistics of texts or conversations; raise DataError if there are no documents.

    Lengths are in tokens. The default tokenizer is a `CharTokenizer` for the documents.

    Examples:
        >>> describe(["anna", "emma", "anna"]).most_frequent
        [('anna', 2)]
    """
    if not docs:
        raise DataError("there are no documents to describe")
    char_counts = Counter(chain.from_iterable(chain.from_iterable(map(texts_of, docs))))
    tokenizer = tokenizer or CharTokenizer.from_documents(docs)
    lengths = Counter(tokenizer.count_tokens(doc) - 1 for doc in docs)
    copies = Counter(doc if isinstance(doc, str) else tuple(doc) for doc in docs)
    return DataReport(
        tokenizer=tokenizer,
        n_docs=len(docs),
        n_repeats=len(docs) - len(copies),
        n_alike=len(copies) - len({folded(doc, plain) for doc in copies}),
        most_frequent=[(doc, n) for doc, n in copies.most_common(N_FREQUENT) if n > 1],
        lengths=dict(sorted(lengths.items())),
        char_counts=dict(sorted(char_counts.items())),
    )


def measure(docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind) -> Sizes:
    """Return the sizes of documents; at most MAX_SAMPLED documents are measured."""
    sampled = docs[:: max(1, len(docs) // MAX_SAMPLED)]
    per_character = _tokens_per_character(sampled, tokenizer)
    n_ends = 1 if text == "lines" else 0
    lengths = (
        count_characters(doc) * per_character
        + (n_ends if isinstance(doc, str) else 2 * len(doc) + 1)  # special tokens
        for doc in sampled
    )
    return Sizes(len(docs), sum(map(count_characters, docs)), sorted(lengths))


def count_with_others(docs: Iterable[Document], chars: Collection[str]) -> int:
    """Return the number of documents with a character that is not in `chars`."""
    known = frozenset(chars)
    return sum(not all(map(known.issuperset, texts_of(doc))) for doc in docs)


def _tokens_per_character(docs: Sequence[Document], tokenizer: Tokenizer) -> float:
    """Estimate the number of tokens per character from the beginning of each document."""
    if tokenizer.kind == "char":
        return 1.0
    texts = [text[: MAX_CHARACTERS // len(docs) + 1] for doc in docs for text in texts_of(doc)]
    return sum(map(tokenizer.count, texts)) / max(1, sum(map(len, texts)))
