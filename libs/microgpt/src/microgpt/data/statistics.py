"""Detect running text (one text, not documents) and prose; estimate lengths in tokens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from microgpt.config import TextKind
from microgpt.data.tokenizer import Document, Tokenizer, all_texts, count_all

MAX_LINES = 5_000  # maximum number of lines examined for the layout of running text
WORD = re.compile(r"[^\W\d_]{2,}")  # two or more letters
MIN_REPEATS = 3  # minimum mean number of occurrences of each distinct word in prose
PROSE_SAMPLE, MIN_DOCUMENTS = 300_000, 100  # characters to sample; minimum documents for sampling
MAX_SAMPLED = 10_000  # documents to sample from a larger dataset; rounding can double the number
MAX_CHARACTERS = 1_000_000  # approximate number of characters to tokenize for an estimate


def is_running_text(lines: Sequence[str]) -> bool:
    """Return whether lines are running text rather than separate documents.

    Running text has blank lines between paragraphs of prose, verse or source code.
    """
    lines = [line.rstrip() for line in lines[:MAX_LINES]]
    texts = [line for line in lines if line]
    n_breaks = sum(bool(line and not before) for before, line in pairwise(lines))
    has_paragraphs = 2 * len(texts) >= 3 * (n_breaks + 1)
    if not has_paragraphs or n_breaks < 3 or 50 * n_breaks < len(texts):
        return False
    n_indented = sum(line[0].isspace() for line in texts)
    n_chars = sum(len(line.strip()) for line in texts)
    return n_chars >= 25 * len(texts) or 10 * n_indented >= len(texts)


def is_prose(docs: Sequence[Document]) -> bool:
    """Return whether at least half of the text is words, each used three times or more on average.

    True for novels, messages, source code and Unicode character names; false for lists of names or
    words, arithmetic and music. About PROSE_SAMPLE characters of evenly spaced documents are read.
    """
    n_characters = sum(map(len, all_texts(docs)))
    if len(docs) > MIN_DOCUMENTS:
        docs = docs[:: max(1, n_characters // PROSE_SAMPLE)]
    texts = all_texts(docs)
    sample = "\n".join(text[: 1 + PROSE_SAMPLE // len(texts)] for text in texts)
    words = WORD.findall(sample)
    return 2 * sum(map(len, words)) >= len(sample) and len(words) >= MIN_REPEATS * len(set(words))


@dataclass(frozen=True)
class Sizes:
    """Sizes of a dataset, estimated from a sample of documents or stretches of running text."""

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
        """Return the length that the given fraction of the documents does not exceed."""
        return self.lengths[int(share * (len(self.lengths) - 1))] if self.lengths else 0

    def chunk_length(self, context: int) -> float:
        """Return the mean number of tokens per chunk if chunks have at most `context` tokens."""
        n_chunks = sum(max(1, ceil(length / context)) for length in self.lengths)
        return max(1.0, sum(self.lengths) / max(1, n_chunks))


def measure(docs: Sequence[Document], tokenizer: Tokenizer, text: TextKind) -> Sizes:
    """Return the sizes of documents, estimated from fewer than 2 * MAX_SAMPLED of them."""
    sampled = docs[:: max(1, len(docs) // MAX_SAMPLED)]
    per_character = 1.0
    if tokenizer.kind != "char":  # estimate tokens per character from the start of each document
        most = MAX_CHARACTERS // max(1, len(sampled)) + 1
        texts = [text[:most] for text in all_texts(sampled)]
        per_character = sum(map(tokenizer.count, texts)) / max(1, sum(map(len, texts)))
    lengths = (count_all(doc, text, lambda each: len(each) * per_character) for doc in sampled)
    return Sizes(len(docs), sum(map(len, all_texts(docs))), sorted(lengths))
