"""Read documents of several lines, such as recipes and poems, from a text file.

A separator is a line, such as % or ---, or BLANK, for blank lines.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from shlex import quote

from microgpt.data.text_file import TextFile
from microgpt.errors import ConfigError, DataError
from microgpt.printable_text import printable

BLANK = "blank"
MIN_BLOCKS = 3  # minimum number of documents for a proposal


def load_blocks(file: TextFile, separator: str) -> list[str]:
    """Return the texts between separators, without white space around them.

    Raises:
        ConfigError: the separator is empty.
        DataError: the file cannot be read, or has no separator or only separators.
    """
    wanted = "" if separator == BLANK else separator.strip()
    if not wanted and separator != BLANK:
        raise ConfigError(f"--separator is empty; for blank lines use --separator {BLANK}")
    lines = [*file]
    if wanted not in map(str.strip, lines):
        found = printable(proposal(lines) or "")
        remedy = f"--separator {quote(found)} would find some" if found else "omit --separator"
        what = "blank line" if separator == BLANK else f"line {printable(separator)!r}"
        raise DataError(f"{file.path} has no {what} to separate documents; {remedy}")
    docs = [*filter(None, _blocks(lines, wanted))]
    if not docs:
        raise DataError(
            f"{file.path} has only separators ({printable(separator)!r}); use another --separator"
        )
    return docs


def proposal(lines: Sequence[str]) -> str | None:
    """Return the separator of a file that seems to have documents of several lines, or None.

    The separator is a frequent line without letters and digits, or blank lines between blocks if
    most blocks have several lines.
    """
    texts = [line.strip() for line in lines]
    marks = Counter(text for text in texts if text and not any(map(str.isalnum, text)))
    mark, n = marks.most_common(1)[0] if marks else ("", 0)
    if n + 1 >= MIN_BLOCKS and _are_blocks([*_blocks(texts, mark)]):
        return mark
    return BLANK if _are_blocks([*_blocks(texts, "")]) else None


def _are_blocks(blocks: Sequence[str]) -> bool:
    """Return whether there are MIN_BLOCKS or more blocks, and at least half have several lines."""
    blocks = [block for block in blocks if block]
    n_long = sum("\n" in block for block in blocks)
    return len(blocks) >= MIN_BLOCKS and 2 * n_long >= len(blocks)


def _blocks(lines: Sequence[str], separator: str) -> Iterator[str]:
    grouped = groupby(lines, lambda line: line.strip() == separator)
    return ("\n".join(block).strip() for is_between, block in grouped if not is_between)
