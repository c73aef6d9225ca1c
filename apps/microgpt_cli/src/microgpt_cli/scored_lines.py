"""Lines to score, in batches as they arrive, and their scores as text, JSON or CSV."""

import csv
import json
import os
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import chain, groupby, islice
from pathlib import Path
from typing import NamedTuple

from microgpt.config import TextKind
from microgpt.data.column_file import check_is_text, load_column
from microgpt.errors import ConfigError, DataError
from microgpt.evaluation.scoring import Score
from microgpt_cli.terminal.console import note, shows_color, styled, terminal_safe

READ_BYTES = 2**20  # maximum number of bytes per read
N_CHECKED = 100_000  # number of lines that are searched for a table or JSON
N_TEXTS = 2**12  # maximum number of texts of a column per batch
SURPRISING = 7.0  # bits from which a character is marked in a terminal: less likely than 1 in 128
BOLD_RED = "1;31"
COLUMNS = ("line", "bits_per_character", "bits", "n_unknown", "percentile", "text")

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


class ScoredLine(NamedTuple):
    """A line and its score."""

    number: int  # counted from 1
    score: Score
    percentile: float | None  # among the lines of the calibration

    def as_text(self) -> str:
        """Return the score, the remarks, and the text with surprising characters in red."""
        score = self.score
        remarks = [f"{self.percentile:5.1f} %"] if self.percentile is not None else []
        if score.n_unknown:
            remarks.append(f"({score.n_unknown / len(score.text):.0%} unknown)")
        text = _marked(score) if shows_color() else terminal_safe(score.text)
        line = text.replace("\n", " ")  # a field of a table may have several lines
        return "  ".join([f"{score.bits_per_character:6.2f}", *remarks, line])

    def as_json(self) -> str:
        """Return a JSON object."""
        score = self.score
        return json.dumps(
            {
                "line": self.number,
                "text": score.text,
                "bits_per_character": score.bits_per_character,
                "bits": score.bits,
                "n_unknown": score.n_unknown,
                "percentile": self.percentile,
                "character_bits": [round(bits, 3) for bits in score.character_bits.tolist()],
            }
        )

    def as_csv(self) -> str:
        """Return a row of CSV with the `COLUMNS`."""
        score = self.score
        percentile = "" if self.percentile is None else f"{self.percentile:.1f}"
        bits = f"{score.bits_per_character:.4f}", f"{score.bits:.4f}"
        return csv_row([self.number, *bits, score.n_unknown, percentile, terminal_safe(score.text)])


def csv_row(row: Sequence[object]) -> str:
    """Return a row of CSV, without a line feed."""
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()


def _marked(score: Score) -> str:
    """Return the text with surprising characters in red."""
    pairs = zip(score.text, score.character_bits.tolist(), strict=True)
    return "".join(
        styled(terminal_safe("".join(char for char, _ in group)), BOLD_RED if is_marked else "")
        for is_marked, group in groupby(pairs, key=lambda pair: pair[1] >= SURPRISING)
    )
