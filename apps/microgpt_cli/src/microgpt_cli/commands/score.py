"""`microgpt score`: how much each line of a file or of standard input surprises a model."""

import csv
import json
import math
import os
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from heapq import nlargest
from io import StringIO
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from microgpt.errors import ConfigError, DataError
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.options import MODEL_HELP, Unfinished
from microgpt_cli.terminal.progress import load_kernels

if TYPE_CHECKING:
    from microgpt.evaluation.scoring import Score, Scorer
    from microgpt.storage.calibration_file import Calibration

READ_BYTES = 2**20  # maximum number of bytes per read; lines are scored as they arrive
SURPRISING = 7.0  # bits from which a character is marked in a terminal: less likely than 1 in 128
RED, PLAIN = "\x1b[1;31m", "\x1b[0m"
COLUMNS = ("line", "bits_per_character", "bits", "unknown", "percentile", "text")


def score(
    model: Annotated[Path, typer.Argument(help=MODEL_HELP, metavar="MODEL", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Text file.  [default: standard input]", show_default=False),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(help="Print only this many lines, the most surprising first.", min=1),
    ] = None,
    above: Annotated[
        str | None,
        typer.Option(
            help="Print only lines with at least this many bits per character, such as 4.5; or "
            "at least this percentile, such as 99.9%, of a calibrated model.",
            metavar="BITS|PERCENT%",
        ),
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="Score the lines of this file, which are known to be good, and keep their "
            "percentiles with the model. No other lines are scored.",
        ),
    ] = None,
    unfinished: Unfinished = False,
    as_jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print a JSON object per line.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Score how much each line of a file surprises a model.

    The score is in bits per character. It is low if the line is like the training data. Characters
    that the model does not know cost 20 bits each; their share is printed. In a terminal,
    surprising characters are red. Lines from a pipe are scored as they arrive.
    """
    if as_jsonl and as_csv:
        raise ConfigError("--jsonl cannot be used with --csv; omit one of them")
    if calibrate and (data or top or above or as_jsonl or as_csv):
        raise ConfigError("--calibrate cannot be used with other options; omit them")

    from microgpt.evaluation.scoring import Scorer
    from microgpt.inference import InferenceGpt
    from microgpt.storage.calibration_file import Calibration, read_calibration
    from microgpt_cli.model_loading import load_model

    saved = load_model(model, unfinished=unfinished)
    scorer = Scorer(InferenceGpt(saved), text=saved.text)
    if calibrate:
        load_kernels("compiled", saved.dtype, uses=["evaluation"])
        found = [
            bits
            for texts in _batches(calibrate)
            for bits in scorer.score([each for each in texts if each]).bits_per_character.tolist()
        ]
        calibration = Calibration.of(found, saved.meta)
        calibration.write(model)
        middle, high, higher = (calibration.quantiles[i] for i in (500, 990, 999))
        print(
            f"{len(found):,} lines: half have at most {middle:.2f} bits per character, 99 % at "
            f"most {high:.2f}, 99.9 % at most {higher:.2f}"
        )
        return
    known = read_calibration(model, saved.meta)
    least = _Least.of(above, known)
    load_kernels("compiled", saved.dtype, uses=["evaluation"])
    if data is None and sys.stdin.isatty():
        note("enter lines to score; finish with Ctrl-D")
    batches = _scored(scorer, data, known, least)
    if as_csv:
        print(_csv(COLUMNS))
    if top:
        every = chain.from_iterable(batches)
        batches = iter([nlargest(top, every, key=lambda line: line.score.bits_per_character)])
    for batch in batches:
        for line in batch:
            print(line.as_json() if as_jsonl else line.as_csv() if as_csv else line.as_text())
        sys.stdout.flush()


class _Line(NamedTuple):
    """A line and its score."""

    number: int  # counted from 1
    score: "Score"
    percentile: float | None  # among the lines of the calibration

    def as_text(self) -> str:
        """Return the score, the remarks, and the text with surprising characters in red."""
        score = self.score
        remarks = [f"{self.percentile:5.1f} %"] if self.percentile is not None else []
        if score.n_unknown:
            remarks.append(f"({score.n_unknown / len(score.text):.0%} unknown)")
        text = terminal_safe(score.text)
        if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
            text = "".join(
                f"{RED}{''.join(chars)}{PLAIN}" if is_marked else "".join(chars)
                for is_marked, chars in _stretches(score)
            )
        return "  ".join([f"{score.bits_per_character:6.2f}", *remarks, text])

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
        """Return a row of CSV."""
        score = self.score
        known = "" if self.percentile is None else round(self.percentile, 1)
        figures = [f"{score.bits_per_character:.4f}", f"{score.bits:.4f}", score.n_unknown, known]
        return _csv([self.number, *figures, score.text])


def _stretches(score: "Score") -> "Iterator[tuple[bool, Iterator[str]]]":
    """Yield stretches of surprising and of other characters, escaped."""
    pairs = zip(score.text, score.character_bits.tolist(), strict=True)
    for is_marked, group in groupby(pairs, key=lambda pair: pair[1] >= SURPRISING):
        yield is_marked, (terminal_safe(char) for char, _ in group)


class _Least(NamedTuple):
    """The lowest score to print."""

    bits: float = -math.inf
    percentile: float | None = None

    @classmethod
    def of(cls, above: str | None, calibration: "Calibration | None") -> "_Least":
        """Parse the value of --above."""
        if above is None:
            return cls()
        try:
            number = float(above.removesuffix("%"))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ConfigError(f"--above must be a number such as 4.5 or 99.9%, got {above!r:.40}")
        if not above.endswith("%"):
            return cls(bits=number)
        if calibration is None:
            raise ConfigError(
                "--above with a percentage requires a calibrated model; use --calibrate first"
            )
        return cls(percentile=number)

    def allows(self, bits: float, percentile: float | None) -> bool:
        """Return whether a line is printed."""
        if self.percentile is None:
            return bits >= self.bits
        return percentile is not None and percentile >= self.percentile


def _scored(
    scorer: "Scorer", path: Path | None, calibration: "Calibration | None", least: _Least
) -> "Iterator[list[_Line]]":
    """Yield the lines to print, in batches."""
    n_lines = 0
    for texts in _batches(path):
        scores = scorer.score(texts)
        lines = []
        for i, bits in enumerate(scores.bits_per_character.tolist()):
            percentile = calibration.percentile(bits) if calibration else None
            if least.allows(bits, percentile):
                lines.append(_Line(n_lines + i + 1, scores[i], percentile))
        n_lines += len(texts)
        yield lines


def _batches(path: Path | None) -> Iterator[list[str]]:
    """Yield complete lines of a file or of standard input as soon as they can be read.

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


def _csv(row: Sequence[object]) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()
