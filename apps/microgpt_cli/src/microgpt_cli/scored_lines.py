"""Score lines in batches, as they arrive; write their scores as text or JSON."""

import json
import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator
from io import IncrementalNewlineDecoder
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, cast

from microgpt import (
    ConfigError,
    DataError,
    DocumentHashes,
    ReadOptions,
    SavedModel,
    Score,
    Scorer,
    TextFile,
    TextKind,
    count,
    read_by_kind,
    read_document_hashes,
)
from microgpt_cli.terminal.console import note, shows_color, styled, terminal_safe

READ_BYTES = 2**20  # maximum number of bytes per read
SURPRISING = 7.0  # bits from which a character is marked in a terminal: less likely than 1 in 128
BOLD_RED = "1;31"

Batch = dict[int, str]  # lines by number, counted from 1


def line_batches(
    path: Path | None, text: TextKind, *, column: str | None = None
) -> Iterator[Batch]:
    """Yield batches of numbered lines of a file or of stdin, as soon as they can be read.

    They are read as in training: surrounding white space is removed, unless the model was trained
    on running text. Empty lines are omitted. Of a table, or a file that a reader of another
    package recognises, the texts are yielded.

    Raises:
        ConfigError: a column is requested from standard input.
        DataError: the file cannot be read, or is a table or JSON and no column is requested.
    """
    if column is not None and path is None:
        raise ConfigError("--column requires a file; add --data or omit --column")
    if path and (column is not None or os.path.isfile(path)):  # a pipe can be read only once
        found = read_by_kind(TextFile(path, is_strict=False), ReadOptions("lines", column), note)
        if found is not None:
            yield dict(enumerate(cast("list[str]", found), start=1))
            return
    n_lines = 0
    for lines in _complete_lines(path):
        if text == "lines":
            lines = [line.strip() for line in lines]
        yield {number: line for number, line in enumerate(lines, n_lines + 1) if line}
        n_lines += len(lines)


def _complete_lines(path: Path | None) -> Iterator[list[str]]:
    """After each read, yield the lines that are now complete.

    Bytes that are not UTF-8 become lone surrogates, which no model knows.
    """
    try:
        with open(
            sys.stdin.fileno() if path is None else path, "rb", closefd=path is not None
        ) as file:
            bytes_decoder = getincrementaldecoder("utf-8-sig")("surrogateescape")
            decoder, rest = IncrementalNewlineDecoder(bytes_decoder, translate=True), ""
            while chunk := file.read1(READ_BYTES):
                *ended, rest = (rest + decoder.decode(chunk)).split("\n")
                if ended:
                    yield ended
            if last := rest + decoder.decode(b"", final=True).rstrip("\n"):
                yield [last]
    except OSError as error:
        raise DataError(f"cannot read {path or 'standard input'}: {error.strerror}") from error


class ScoredLine(NamedTuple):
    """A line and its score."""

    number: int  # counted from 1
    score: Score
    is_training_data: bool | None  # None if it is unknown

    def as_text(self) -> str:
        """Return the score, the remarks, and the text with surprising characters in red."""
        score = self.score
        remarks = [f"({score.n_unknown / len(score.text):.0%} unknown)"] if score.n_unknown else []
        text = _marked(score) if shows_color() else terminal_safe(score.text)
        line = text.replace("\n", " ")  # a field of a table may have several lines
        return "  ".join([f"{score.bits_per_character:6.2f}", *remarks, line])

    def as_json(self) -> str:
        """Return the line and its score as a JSON object."""
        score = self.score
        return json.dumps(
            {
                "line": self.number,
                "text": score.text,
                "bits_per_character": score.bits_per_character,
                "bits": score.bits,
                "n_unknown": score.n_unknown,
                "is_training_data": self.is_training_data,
                "character_bits": [round(bits, 3) for bits in score.character_bits.tolist()],
            }
        )


def _marked(score: Score) -> str:
    pairs = zip(score.text, score.character_bits.tolist(), strict=True)
    return "".join(
        styled(terminal_safe("".join(char for char, _ in group)), BOLD_RED if is_marked else "")
        for is_marked, group in groupby(pairs, key=lambda pair: pair[1] >= SURPRISING)
    )


def training_hashes(saved: SavedModel, model: Path) -> DocumentHashes | None:
    """Return the hashes of all training data, or print a note that some are unknown."""
    known = read_document_hashes(model, saved)
    if known is None:
        note("the text may be training data of the model or its ancestors, whose scores are lower")
    return known


def scored(
    scorer: Scorer,
    batches: Iterator[Batch],
    above: float | None,
    trained: DocumentHashes | None,
) -> Iterator[list[ScoredLine]]:
    """Yield the scored lines to print, in batches; then note how many are training data.

    Args:
        above: least bits per character of a line to print.
        trained: hashes of the training data, if all of them are known.
    """
    n_lines = n_trained = 0
    for batch in batches:
        lines: list[ScoredLine] = []
        for number, score in zip(batch, scorer.score(batch.values()), strict=True):
            is_trained = None if trained is None else batch[number] in trained
            n_lines, n_trained = n_lines + 1, n_trained + bool(is_trained)
            if above is None or score.bits_per_character >= above:
                lines.append(ScoredLine(number, score, is_trained))
        yield lines
    if n_trained:
        what = f"{n_trained:,} of {count(n_lines, 'line')} are training data"
        note(f"{what}; their scores are lower than those of new lines")
