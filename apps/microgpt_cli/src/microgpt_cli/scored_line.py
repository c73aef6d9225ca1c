"""A line and its score, as text, JSON or CSV."""

import csv
import json
from collections.abc import Sequence
from io import StringIO
from itertools import groupby
from typing import NamedTuple

from microgpt.evaluation.scoring import Score
from microgpt_cli.terminal.console import shows_color, styled, terminal_safe

SURPRISING = 7.0  # bits from which a character is marked in a terminal: less likely than 1 in 128
BOLD_RED = "1;31"
COLUMNS = ("line", "bits_per_character", "bits", "n_unknown", "percentile", "text")


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
