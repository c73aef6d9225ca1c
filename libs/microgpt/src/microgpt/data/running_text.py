"""Detect running text, such as a book, by the layout of its lines."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

SAMPLE = 5_000  # maximum number of lines to examine


def is_running_text(lines: Sequence[str]) -> bool:
    """Return whether lines are running text rather than separate documents.

    Running text has blank lines between paragraphs of prose, verse or source code, or is prose
    wrapped at a fixed width. See docs/formats.md for the rule.
    """
    lines = [line.rstrip() for line in lines[:SAMPLE]]
    texts = [line for line in lines if line]
    n_breaks = sum(bool(line and not before) for before, line in pairwise(lines))
    has_paragraphs = 2 * len(texts) >= 3 * (n_breaks + 1)
    if has_paragraphs and n_breaks >= 3 and 50 * n_breaks >= len(texts):
        n_indented = sum(line[0].isspace() for line in texts)
        n_chars = sum(len(line.strip()) for line in texts)
        return n_chars >= 25 * len(texts) or 10 * n_indented >= len(texts)
    return len(texts) >= 20 and _has_full_lines(texts) and _is_prose(texts)


def _has_full_lines(texts: Sequence[str]) -> bool:
    """Return whether most lines have nearly the full width, and most end in mid-sentence."""
    width = sorted(map(len, texts))[len(texts) * 95 // 100]  # ignore a few very long lines
    n_full = sum(3 * width <= 4 * len(text) <= 4 * width for text in texts)
    n_ends = sum(text[-1] in ".!?:;\"'\u201d" for text in texts)
    return width >= 40 and 4 * n_full >= 3 * len(texts) and 2 * n_ends < len(texts)


def _is_prose(texts: Sequence[str]) -> bool:
    """Return whether lines continue sentences, unlike logs, arithmetic, chess moves and titles."""
    words = [text.split() for text in texts]
    n_words = sum(map(len, words))
    n_numbers = sum(bool(re.search(r"\d", word)) for line in words for word in line)
    n_continued = sum(line[0][0].isalpha() and not line[0][0].isupper() for line in words)
    n_ends = sum(bool(re.search(r"[^\W\d][.!?]\S? ", text)) for text in texts)
    n_same = Counter(line[0] for line in words).most_common(1)[0][1]  # most common first word
    is_varied = n_words >= 5 * len(texts) and 10 * n_numbers <= n_words and 4 * n_same <= len(texts)
    return is_varied and 5 * n_continued >= 2 * len(texts) and 10 * n_ends >= len(texts)
