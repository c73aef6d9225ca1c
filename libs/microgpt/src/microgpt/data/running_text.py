"""Detect running text, such as a book, by the layout of its lines."""

from collections.abc import Sequence

SAMPLE = 5_000  # maximum number of lines to examine


def is_running_text(lines: Sequence[str]) -> bool:
    """Return whether lines are running text rather than separate documents.

    Running text has blank lines between paragraphs of prose, verse or source code, or is prose
    wrapped at a fixed width. See docs/formats.md for the rule.
    """
    lines = lines[:SAMPLE]
    texts = [line for line in lines if line.strip()]
    if len(texts) < 2:
        return False
    n_blank = len("\n".join(lines).strip().split("\n")) - len(texts)
    if 50 * n_blank >= len(texts):
        n_indented = sum(line[0].isspace() for line in texts)
        return _mean_length(texts) >= 25 or 10 * n_indented >= len(texts)
    return _is_wrapped(texts)


def _is_wrapped(texts: Sequence[str]) -> bool:
    """Return whether most lines are nearly as long as the longest, and end within a sentence."""
    width = sorted(map(len, texts))[len(texts) * 95 // 100]  # ignores a few long lines
    n_full = sum(3 * width <= 4 * len(text) <= 4 * width for text in texts)
    n_ends = sum(text.rstrip()[-1] in ".!?:;\"'\u201d" for text in texts)
    n_spaces = sum(text.strip().count(" ") for text in texts)
    is_prose = width >= 40 and n_spaces >= 4 * len(texts)
    return is_prose and 4 * n_full >= 3 * len(texts) and 2 * n_ends < len(texts)


def _mean_length(texts: Sequence[str]) -> float:
    return sum(len(text.strip()) for text in texts) / len(texts)
