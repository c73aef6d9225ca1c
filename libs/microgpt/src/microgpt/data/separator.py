"""Read documents of several lines, such as recipes and poems, from a text file."""

from itertools import groupby

from microgpt.data.text_file import TextFile
from microgpt.errors import ConfigError, DataError
from microgpt.printable_text import printable

BLANK = "blank"  # the separator for blank lines


def load_blocks(file: TextFile, separator: str) -> list[str]:
    """Return the texts between separators, without white space around them.

    Args:
        separator: a line, such as % or ---, or BLANK.

    Raises:
        ConfigError: the separator is empty.
        DataError: the file cannot be read, or has no separator or only separators.
    """
    wanted = "" if separator == BLANK else separator.strip()
    if not wanted and separator != BLANK:
        raise ConfigError(f"--separator is empty; for blank lines use --separator {BLANK}")
    grouped = groupby(file, lambda line: line.strip() == wanted)
    blocks = [(is_separator, "\n".join(lines).strip()) for is_separator, lines in grouped]
    if not any(is_separator for is_separator, _ in blocks):
        what = "blank line" if separator == BLANK else f"line {printable(separator)!r}"
        raise DataError(f"{file.path} has no {what} to separate documents; omit --separator")
    docs = [text for is_separator, text in blocks if text and not is_separator]
    if not docs:
        raise DataError(
            f"{file.path} has only separators ({printable(separator)!r}); use another --separator"
        )
    return docs
