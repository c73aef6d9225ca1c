"""Statistics of documents: lengths, characters and duplicates."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from microgpt import Document, Tokenizer, plain, texts_of

PERCENTS = (0, 5, 25, 50, 75, 95, 99, 100)
N_FREQUENT = 5  # maximum number of duplicates to list
RARE = 10  # characters with fewer occurrences are learned poorly


def describe(docs: Sequence[Document], lengths: Sequence[int]) -> dict[str, Any]:
    """Return statistics of documents as a JSON object; docs/reference/data.md has its fields.

    Args:
        lengths: those of the documents, ascending; see `lengths_of`.
    """
    char_counts = Counter(chain.from_iterable(chain.from_iterable(map(texts_of, docs))))
    rare = sorted(char for char, n in char_counts.items() if n < RARE)
    copies = Counter(doc if isinstance(doc, str) else tuple(doc) for doc in docs)
    return {
        "n_docs": len(docs),
        "n_repeats": len(docs) - len(copies),
        "n_alike": len(copies) - len({tuple(map(plain, texts_of(doc))) for doc in copies}),
        "most_frequent": [
            {"document": doc if isinstance(doc, str) else list(map(asdict, doc)), "n": n}
            for doc, n in copies.most_common(N_FREQUENT)
            if n > 1
        ],
        "n_tokens": sum(lengths),
        "char_counts": dict(sorted(char_counts.items())),
        "rare": {char: char_counts[char] for char in sorted(rare, key=char_counts.__getitem__)},
        "lengths": {f"p{percent}": percentile(lengths, percent) for percent in PERCENTS},
    }


def lengths_of(docs: Sequence[Document], tokenizer: Tokenizer) -> list[int]:
    """Return the ascending lengths of documents in predicted tokens.

    Counted are the text, two special tokens per turn of a conversation, and the end token. A
    document fits into a context of its length.
    """
    return sorted(tokenizer.count_tokens(doc) - 1 for doc in docs)


def percentile(lengths: Sequence[int], percent: int) -> int:
    """Return a percentile of ascending lengths, using the nearest-rank method."""
    return lengths[max(1, -(-percent * len(lengths) // 100)) - 1]


def suitability(
    tokenizer: Tokenizer, docs: Sequence[Document], char_counts: Mapping[str, int]
) -> dict[str, object]:
    """Count the characters that a model does not know, most frequent first, and their documents."""
    chars = tokenizer.unknown_characters("".join(char_counts))
    unknown = {char: char_counts[char] for char in chars}
    return {
        "unknown": dict(sorted(unknown.items(), key=lambda item: -item[1])),
        "n_docs": count_with_others(docs, char_counts.keys() - unknown) if unknown else 0,
    }


def count_with_others(docs: Sequence[Document], chars: Collection[str]) -> int:
    """Return the number of documents with a character that is not in `chars`."""
    known = frozenset(chars)
    return sum(not all(map(known.issuperset, texts_of(doc))) for doc in docs)
