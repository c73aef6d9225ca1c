"""Sizes of documents: their lengths in tokens, estimated from a sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from microgpt.config import TextKind
from microgpt.data.tokenizer import Document, Tokenizer, count_characters, texts_of

MAX_SAMPLED = 10_000  # number of evenly spaced documents whose lengths are estimated
MAX_CHARACTERS = 1_000_000  # approximate number of characters to tokenize for an estimate


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


def measure(docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind) -> Sizes:
    """Return the sizes of documents; at most MAX_SAMPLED documents are measured."""
    sampled = docs[:: max(1, len(docs) // MAX_SAMPLED)]
    per_character = 1.0
    if tokenizer.kind != "char":  # estimated from the beginning of each document
        most = MAX_CHARACTERS // max(1, len(sampled)) + 1
        texts = [text[:most] for doc in sampled for text in texts_of(doc)]
        per_character = sum(map(tokenizer.count, texts)) / max(1, sum(map(len, texts)))
    n_ends = 1 if text == "lines" else 0
    lengths = (
        count_characters(doc) * per_character
        + (n_ends if isinstance(doc, str) else 2 * len(doc) + 1)  # special tokens
        for doc in sampled
    )
    return Sizes(len(docs), sum(map(count_characters, docs)), sorted(lengths))
