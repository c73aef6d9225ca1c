"""Lines of a file or of standard input, in batches as they arrive."""

import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

from microgpt.config import TextKind
from microgpt.errors import DataError

READ_BYTES = 2**20  # maximum number of bytes per read

Batch = dict[int, str]  # lines by number, counted from 1


def line_batches(path: Path | None, text: TextKind) -> Iterator[Batch]:
    """Yield the lines of a file or of standard input by number, as soon as they can be read.

    They are read as in training: surrounding white space is removed, unless the model was trained
    on running text. Empty lines are omitted.

    Raises:
        DataError: the file cannot be read.
    """
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
