"""Read documents of several lines, such as recipes and poems, from a text file.

A separator is a line, such as % or ---; BLANK, for blank lines; or /PATTERN/, a regular expression
that is searched for in each line. Patterns are those of Rust's regex crate, which needs linear
time.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from shlex import quote

from pydantic_core import SchemaError, SchemaValidator, core_schema

from microgpt.data.text_file import TextFile
from microgpt.errors import ConfigError, DataError
from microgpt.printable_text import printable

BLANK = "blank"
MIN_BLOCKS = 3  # minimum number of documents for a proposal


def load_blocks(file: TextFile, separator: str) -> list[str]:
    """Return the texts between separators, without white space around them.

    Raises:
        ConfigError: the separator is an invalid pattern.
        DataError: the file cannot be read, or has no separator or only separators.
    """
    is_separator = _test_of(separator)
    lines = [*file]
    if not any(map(is_separator, lines)):
        found = printable(proposal(lines) or "")
        remedy = f"--separator {quote(found)} would find some" if found else "omit --separator"
        what = "blank line" if separator == BLANK else f"line {printable(separator)!r}"
        raise DataError(f"{file.path} has no {what} to separate documents; {remedy}")
    docs = [*filter(None, _blocks(lines, is_separator))]
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
    if n + 1 >= MIN_BLOCKS and _are_blocks([*_blocks(texts, mark.__eq__)]):
        return mark
    return BLANK if _are_blocks([*_blocks(texts, _is_blank)]) else None


def _are_blocks(blocks: Sequence[str]) -> bool:
    """Return whether there are MIN_BLOCKS or more blocks, and at least half have several lines."""
    blocks = [block for block in blocks if block]
    n_long = sum("\n" in block for block in blocks)
    return len(blocks) >= MIN_BLOCKS and 2 * n_long >= len(blocks)


def _blocks(lines: Sequence[str], is_separator: Callable[[str], bool]) -> Iterator[str]:
    return (
        "\n".join(block).strip()
        for is_between, block in groupby(lines, is_separator)
        if not is_between
    )


def _is_blank(line: str) -> bool:
    return not line.strip()


def _test_of(separator: str) -> Callable[[str], bool]:
    """Return a function that decides whether a line is a separator."""
    if separator == BLANK:
        return _is_blank
    if len(separator) < 3 or not separator.startswith("/") or not separator.endswith("/"):
        wanted = separator.strip()
        if not wanted:
            raise ConfigError(f"--separator is empty; for blank lines use --separator {BLANK}")
        return lambda line: line.strip() == wanted
    try:
        return SchemaValidator(core_schema.str_schema(pattern=separator[1:-1])).isinstance_python
    except SchemaError as error:
        problem = printable(" ".join(str(error).partition("SchemaError: ")[2].split()))
        raise ConfigError(
            f"--separator {printable(separator)} is not a regular expression ({problem})"
        ) from error
