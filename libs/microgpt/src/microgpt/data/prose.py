"""Detect prose and source code, which repeat their words, unlike lists and notations."""

import re
from collections.abc import Sequence

from microgpt.data.sizes import count_characters
from microgpt.data.tokenizer import Document, texts_of

WORD = re.compile(r"[^\W\d_]{2,}")  # two or more letters
MIN_REPEATS = 3  # mean number of occurrences of each different word
MAX_CHARACTERS, MIN_DOCUMENTS = 300_000, 100  # size of the sample


def is_prose(docs: Sequence[Document]) -> bool:
    """Return whether words make up half of the text and occur three times each on average.

    True for novels, messages, source code and Unicode names; false for lists of names or words,
    arithmetic and music. A sample of the documents decides.
    """
    sample = _sample(docs)
    words = WORD.findall(sample)
    return 2 * sum(map(len, words)) >= len(sample) and len(words) >= MIN_REPEATS * len(set(words))


def _sample(docs: Sequence[Document]) -> str:
    """Return about MAX_CHARACTERS characters of evenly spaced documents."""
    n_characters = sum(map(count_characters, docs))
    if len(docs) > MIN_DOCUMENTS:
        docs = docs[:: max(1, n_characters // MAX_CHARACTERS)]
    texts = [text for doc in docs for text in texts_of(doc)]
    return "\n".join(text[: 1 + MAX_CHARACTERS // len(texts)] for text in texts)
