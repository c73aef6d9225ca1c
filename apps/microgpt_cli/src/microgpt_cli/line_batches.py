"""Lines of a file or of standard input, in batches as they arrive."""

import os
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from microgpt.config import TextKind
from microgpt.data.column_file import check_is_text, load_column
from microgpt.errors import ConfigError, DataError
from microgpt_cli.terminal.console import note

READ_BYTES = 2**20  # maximum number of bytes per read
N_CHECKED = 100_000  # number of lines that are searched for a table or JSON
N_TEXTS = 2**12  # maximum number of texts of a column per batch

Batch = dict[int, str]  # lines by number, counted from 1


def line_batches(
    path: Path | None, text: TextKind, *, column: str | None = None
) -> Iterator[Batch]:
    """Return the lines of a file or of standard input by number, as soon as they can be read.

    They are read as in training: surrounding white space is removed, unless the model was trained
    on running text. Empty lines are omitted. With a column, its texts are returned.

    Raises:
        ConfigError: a column is requested from standard input.
        DataError: the file cannot be read, or is a table or JSON and no column is requested.
    """
    if column is not None:
        if path is None:
            raise ConfigError("--column requires a file; add --data or omit --column")
        texts = load_column(path, column, tell=note)
        firsts = range(0, len(texts), N_TEXTS)
        return (dict(enumerate(texts[i : i + N_TEXTS], i + 1)) for i in firsts)
    if path and os.path.isfile(path):  # a pipe can be read only once
        every = chain.from_iterable(_complete_lines(path))
        if lines := [line for each in islice(every, N_CHECKED) if (line := each.strip())]:
            check_is_text(path, lines)
    return _numbered(path, text)


def _numbered(path: Path | None, text: TextKind) -> Iterator[Batch]:
    n_lines = 0
    for lines in _complete_lines(path):
        if text == "lines":
            lines = [line.strip() for line in lines]
        yield {number: line for number, line in enumerate(lines, n_lines + 1) if line}
        n_lines += len(lines)


def _complete_lines(path: Path | None) -> Iterator[list[str]]:
    """Yield the lines that each read completes.

    Bytes that are not UTF-8 become lone surrogates, which no model knows.
    """
    try:
        with open(
            sys.stdin.fileno() if path is None else path, "rb", closefd=path is not None
        ) as file:
            parts: list[bytes] = []  # of an incomplete line
            is_first = True
            while chunk := file.read1(READ_BYTES):
                if is_first:
                    chunk, is_first = chunk.removeprefix(BOM_UTF8), False
                *ended, rest = chunk.split(b"\n")
                if ended:
                    ended[0] = b"".join([*parts, ended[0]])
                    parts.clear()
                    yield [_decoded(line) for line in ended]
                parts.append(rest)
            if last := b"".join(parts):
                yield [_decoded(last)]
    except OSError as error:
        raise DataError(f"cannot read {path or 'standard input'}: {error.strerror}") from error


def _decoded(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="surrogateescape")
