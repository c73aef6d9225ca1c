"""Score lines in batches, as they arrive; write their scores as text or JSON."""

import json
import os
import sys
from bisect import bisect_left
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import IncrementalNewlineDecoder
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple, cast

from microgpt import (
    HELD_OUT,
    ConfigError,
    DataError,
    Document,
    DocumentHashes,
    ReadOptions,
    SavedModel,
    Score,
    Scorer,
    Split,
    TextFile,
    TextKind,
    contamination,
    count,
    describe_read,
    load_documents,
    mark,
    other_data,
    read_by_kind,
    read_document_hashes,
    recorded_facts,
    split_again,
    trained_share,
)
from microgpt_cli.model_loading import note_training_data, training_documents
from microgpt_cli.terminal.console import note, shows_color, styled, terminal_safe

READ_BYTES = 2**20  # maximum number of bytes per read
N_TEXTS = 2**12  # maximum number of texts of a column per batch
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
            texts = cast("list[str]", found)
            for i in range(0, len(texts), N_TEXTS):
                yield dict(enumerate(texts[i : i + N_TEXTS], i + 1))
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
    percentile: float | None  # share of the held-out lines that are less surprising, in percent
    contamination: float | None  # share of the held-out lines that was read; None if unknown
    is_training_data: bool | None  # None if it is unknown

    def as_text(self) -> str:
        """Return the score, the remarks, and the text with surprising characters in red."""
        score = self.score
        remarks = list[str]()
        if self.percentile is not None:
            remarks.append(f"{self.percentile:5.1f} %{mark(self.contamination)}")
        if score.n_unknown:
            remarks.append(f"({score.n_unknown / len(score.text):.0%} unknown)")
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
                "percentile": self.percentile,
                "contamination": self.contamination,
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


def note_training_file(
    path: Path | None, column: str | None, saved: SavedModel, model: Path
) -> DocumentHashes | None:
    """Print a note if a model was trained on the file, or may have been.

    Return the hashes of all training data, to compare each line with, or None if some are unknown.
    Then a file is compared as a whole, and a pipe is not compared.
    """
    if known := read_document_hashes(model, saved):
        return known
    if path and os.path.isfile(path):
        with suppress(DataError):  # an empty file has no lines to score
            docs = load_documents(path, ReadOptions(saved.config.text, column), tell=note)
            docs = [docs] if isinstance(docs, str) else docs
            note_training_data(docs, trained_share(docs, saved.trained_on), saved, model)
    elif path or not sys.stdin.isatty():
        own, *ancestors = saved.trained_on
        if own is None or other_data(own, ancestors):
            note("the text may be training data of the model or its ancestors")
        else:
            note("the text may be training data; to compare it, pass a file with --data")
    return None


class HeldOutLines(NamedTuple):
    """What percentiles are found among."""

    bits: Sequence[float]  # per character of each line, in ascending order
    contamination: float | None  # share of the lines that was read in training; None if unknown


def held_out_lines(scorer: Scorer, saved: SavedModel, directory: Path) -> HeldOutLines:
    """Return the scores of the held-out lines of the training data.

    Raises:
        ConfigError: no lines were held out.
        DataError: the training data was not found.
    """
    docs = training_documents(saved, directory)
    facts = recorded_facts(docs, saved.trained_on)
    parts = split_again(docs, facts[0]) if facts else Split(docs, docs)
    sets = {name: _lines_of(getattr(parts, name), saved.config.text) for name in HELD_OUT}
    if not (held_out := [*chain.from_iterable(sets.values())]):
        raise ConfigError(
            "--percentile requires lines that were held out from training; train with "
            "--val-fraction 0.1, or omit --percentile"
        )
    shares = contamination(parts, saved.trained_on)
    if read_note := describe_read(shares):
        note(read_note)
    n_read = [len(sets[name]) * share for name, share in shares.items() if share is not None]
    is_known = len(n_read) == len(shares)
    bits = sorted(score.bits_per_character for score in scorer.score(held_out))
    return HeldOutLines(bits, sum(n_read) / len(held_out) if is_known else None)


def _lines_of(docs: Sequence[Document], text: TextKind) -> list[str]:
    """Return the lines of documents, each of which is one unless it is running text."""
    lines = [*map(str, docs)]
    return [*filter(None, "\n".join(lines).split("\n"))] if text == "stream" else lines


def scored(
    scorer: Scorer,
    batches: Iterator[Batch],
    held_out: HeldOutLines | None,
    above: float | None,
    trained: DocumentHashes | None,
) -> Iterator[list[ScoredLine]]:
    """Yield the scored lines to print, in batches; then note how many are training data.

    Args:
        held_out: what to find percentiles among.
        above: least bits per character of a line to print.
        trained: hashes of the training data, if all of them are known.
    """
    n_lines = n_trained = 0
    share = held_out.contamination if held_out else None
    for batch in batches:
        lines: list[ScoredLine] = []
        for number, score in zip(batch, scorer.score(batch.values()), strict=True):
            bits, percentile = score.bits_per_character, None
            if held_out:
                percentile = 100 * bisect_left(held_out.bits, bits) / len(held_out.bits)
            is_trained = None if trained is None else batch[number] in trained
            n_lines, n_trained = n_lines + 1, n_trained + bool(is_trained)
            if above is None or bits >= above:
                lines.append(ScoredLine(number, score, percentile, share, is_trained))
        yield lines
    if n_trained:
        what = f"{n_trained:,} of {count(n_lines, 'line')} are training data"
        note(f"{what}; their scores are lower than those of new lines")
