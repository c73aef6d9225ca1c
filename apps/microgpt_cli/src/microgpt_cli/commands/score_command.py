"""`microgpt score`: how much each line of a file or of standard input surprises a model."""

import json
import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator
from heapq import nlargest
from io import IncrementalNewlineDecoder
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from microgpt import ConfigError, DataError, count
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import DocumentHashes, SavedModel, Score, Scorer, TextKind

READ_BYTES = 2**20  # maximum number of bytes per read

Batch = dict[int, str]  # lines by number, counted from 1


@examples(
    "microgpt score my-model --data lines.txt --top 20",
    "tail -f app.log | microgpt score my-model --above 4",
)
def score(
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    data: Path | None = opt.option(None, "Text file.  [default: standard input]", "--data"),
    top: int | None = opt.option(
        None, "Print only this many lines, the most surprising first.", min=1
    ),
    above: float | None = opt.option(None, "Print only lines with at least this many bits."),
    column: str | None = opt.COLUMN,
    as_jsonl: bool = opt.flag("--jsonl", "Print a JSON object per line."),
) -> None:
    """Print how much each line of a file surprises a model.

    The score is in bits per character. It is low if the line resembles the training data.
    Characters that the model does not know cost 20 bits each; their share is printed. Lines from a
    pipe are scored as they arrive.
    """
    from microgpt import Scorer
    from microgpt_cli.model_loading import inference, load_model

    model_dir = opt.model_of(model, model_option)
    saved = load_model(model_dir)
    scorer = Scorer(inference(saved, ["evaluation"]), text=saved.config.text)
    trained = _training_hashes(saved, model_dir)
    if not data and sys.stdin.isatty():
        note("enter lines to score; finish with Ctrl-D")
    lines = _line_batches(data, saved.config.text, column=column)
    batches = _scored(scorer, lines, above, trained)
    if top:
        every = chain.from_iterable(batches)
        batches = iter([nlargest(top, every, key=lambda line: line.score.bits_per_character)])
    for batch in batches:
        for line in batch:
            print(line.as_json() if as_jsonl else line.as_text())
        sys.stdout.flush()


def _line_batches(
    path: Path | None, text: "TextKind", *, column: str | None = None
) -> Iterator[Batch]:
    """Yield batches of numbered lines of a file or of stdin, as soon as they can be read.

    They are read as in training: surrounding white space is removed, unless the model was trained
    on running text. Empty lines are omitted. Of a table, or a file that a reader of another
    package recognises, the texts are yielded.

    Raises:
        ConfigError: a column is requested from standard input.
        DataError: the file cannot be read, or is a table or JSON and no column is requested.
    """
    from microgpt import ReadOptions, TextFile, read_by_kind

    if column is not None and path is None:
        raise ConfigError("--column requires a file; add --data or omit --column")
    is_pipe = path and os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))
    if path and (column is not None or not is_pipe):  # a pipe can be read only once
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
    from microgpt import bom_encoding

    try:
        with open(
            sys.stdin.fileno() if path is None else path, "rb", closefd=path is not None
        ) as file:
            chunk, rest = file.read1(READ_BYTES), ""
            encoding = bom_encoding(chunk)
            errors = "replace" if encoding else "surrogateescape"
            bytes_decoder = getincrementaldecoder(encoding or "utf-8-sig")(errors)
            decoder = IncrementalNewlineDecoder(bytes_decoder, translate=True)
            while chunk:
                *ended, rest = (rest + decoder.decode(chunk)).split("\n")
                if ended:
                    yield ended
                chunk = file.read1(READ_BYTES)
            if last := rest + decoder.decode(b"", final=True).rstrip("\n"):
                yield [last]
    except OSError as error:
        raise DataError(f"cannot read {path or 'standard input'}: {error.strerror}") from error


class ScoredLine(NamedTuple):
    """A line and its score."""

    number: int  # counted from 1
    score: "Score"
    is_training_data: bool | None  # None if it is unknown

    def as_text(self) -> str:
        """Return the score, the remarks and the text, escaped for a terminal."""
        score = self.score
        remarks = [f"({score.n_unknown / len(score.text):.0%} unknown)"] if score.n_unknown else []
        # A field of a table may have several lines.
        line = terminal_safe(score.text).replace("\n", " ")
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
            }
        )


def _training_hashes(saved: "SavedModel", model: Path) -> "DocumentHashes | None":
    """Return the hashes of all training data, or print a note that some are unknown."""
    from microgpt import read_document_hashes

    hashes = read_document_hashes(model, saved)
    if hashes is None:
        note("the text may be training data of the model or its ancestors, whose scores are lower")
    return hashes


def _scored(
    scorer: "Scorer",
    batches: Iterator[Batch],
    above: float | None,
    trained: "DocumentHashes | None",
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
