"""`microgpt judge`: score names with the judge and the Hydra's heads."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import DataError, printable
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import AS_JSON, DEFAULT_TEXT, argument, option

if TYPE_CHECKING:
    from microgpt_evolution.objectives.judge import Verdict
    from microgpt_evolution.objectives.scores import NameScores

SAMPLE = re.compile(r"sample +\d+: ?")  # line prefix in the output of `microgpt generate`
COLUMNS = ("flow", "symmetry", "creativity", "total")
MIN_WIDTH = 6  # column width that fits "-10.00"
CLIP = 24  # maximum width of a name, in columns


@examples("microgpt judge nannan lelel kamon")
def judge(
    names: list[str] | None = argument(
        None, "Names to judge.  [default: standard input, one name per line]", "NAME"
    ),
    against: Path | None = option(
        None,
        f"File of known names; a name in this file is not novel.  [default: data/{DEFAULT_TEXT}]",
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Score the beauty of names.

    Print the terms of the judge's score for each name, then the overall scores from the judge and
    the heads of the Hydra. Names score high if they are easy to say, symmetric or repetitive, and
    new. A repeated name scores at most 0. The output of `microgpt generate` can be piped in.
    """
    batch = names or list(_read_names())
    if not any(name.strip() for name in batch):
        raise DataError("no names to judge; pass them as arguments, or pipe them in, one per line")

    from microgpt import load_text
    from microgpt_cli.training.inputs import default_input
    from microgpt_evolution.objectives.judge import judge as find_verdict
    from microgpt_evolution.objectives.judge import known_names, normal
    from microgpt_evolution.objectives.scores import find_repeats, score_names

    path = against or default_input()
    known = known_names(load_text(path))
    rows = [
        _Row(name, find_verdict(name, known), normal(name) in known, is_repeat)
        for name, is_repeat in zip(batch, find_repeats(batch), strict=True)
    ]
    result = score_names(batch, known)
    if as_json:
        print(json.dumps({"names": [row.facts() for row in rows], **asdict(result)}))
        return
    for line in [*_table(rows, _shown(path.name)), "", *_summary(result, rows)]:
        print(line)


@dataclass(frozen=True)
class _Row:
    name: str
    verdict: "Verdict | None"
    is_known: bool  # whether the name is among the known names
    is_repeat: bool  # whether the name repeats an earlier name of this batch

    def facts(self) -> dict[str, object]:
        verdict = self.verdict
        terms = asdict(verdict) | {"total": verdict.total} if verdict else dict.fromkeys(COLUMNS)
        return {"name": self.name, **terms, "is_known": self.is_known, "is_repeat": self.is_repeat}

    def remark(self, known: str) -> str:
        """Return a remark on the name, or an empty string. `known` is the file of known names."""
        from microgpt_evolution.objectives.judge import MIN_LENGTH, normal

        if self.verdict is None:
            is_short = len(normal(self.name)) < MIN_LENGTH
            return f"shorter than {MIN_LENGTH} letters" if is_short else "not only letters"
        remarks = [f"in {known}"] if self.is_known else []
        if self.is_repeat:
            remarks.append("repeated: counts as 0" if self.verdict.total > 0 else "repeated")
        return ", ".join(remarks)


def _read_names() -> Iterator[str]:
    """Yield names from standard input, without the prefix of `microgpt generate`."""
    if sys.stdin.isatty():
        note("enter names, one per line; finish with Ctrl-D")
    for line in sys.stdin.read().removeprefix("\ufeff").split("\n"):  # skip a byte order mark
        if sample := SAMPLE.match(line):
            yield line[sample.end() :]  # empty samples are also scored
        elif line.strip():
            yield line.strip()


def _table(rows: Sequence[_Row], known: str) -> Iterator[str]:
    from rich.cells import cell_len

    from microgpt_evolution.objectives.judge import WEIGHTS

    weights = [f" ×{weight:g}" * (weight != 1) for weight in (*asdict(WEIGHTS).values(), 1)]
    titles = [column + weight for column, weight in zip(COLUMNS, weights, strict=True)]
    lines = [("name", titles, "")]
    lines += [(_shown(row.name), _cells(row.verdict), row.remark(known)) for row in rows]
    name_width = max(cell_len(name) for name, _, _ in lines)
    for name, cells, remark in lines:
        widths = [max(len(title), MIN_WIDTH) for title in titles]
        columns = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
        padding = " " * (name_width - cell_len(name))
        yield "  ".join([name + padding, *columns, remark]).rstrip()


def _cells(verdict: "Verdict | None") -> list[str]:
    if verdict is None:
        return ["-"] * len(COLUMNS)
    return [*(f"{term:.1f}" for term in asdict(verdict).values()), f"{verdict.total:.2f}"]


def _summary(result: "NameScores", rows: Sequence[_Row]) -> Iterator[str]:
    from microgpt_evolution.objectives.scores import HEADS

    n_judged = sum(row.verdict is not None for row in rows)
    what = f"mean total of {n_judged} of {len(rows)} names"
    what = what if n_judged else "no name could be scored"
    yield f"{'Judge':<8}  {result.scores['judge']:9.4f}  ({what})"
    for name, head in HEADS.items():
        if name in result.scores:
            yield f"{head.title:<8}  {result.scores[name]:9.4f}  ({head.quality})"
    yield f"{'distinct':<8}  {result.distinct:9.1%}"


def _shown(name: str) -> str:
    """Return a name, escaped and truncated to the width of the name column."""
    from rich.cells import chop_cells

    pieces = chop_cells(printable(name.strip(), CLIP + 1), CLIP)
    return "".join(pieces[:1]) + "..." * (len(pieces) > 1)
