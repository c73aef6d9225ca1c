"""`microgpt judge`: score names with the judge and the Hydra's heads."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import DataError, printable
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import AS_JSON, DEFAULT_TEXT, argument, option

if TYPE_CHECKING:
    from microgpt_evolution.objectives.judge import NameScores, Verdict

SAMPLE = re.compile(r"sample +\d+: ?")  # line prefix in the output of `microgpt generate`
DIGITS = (("flow", 1), ("symmetry", 1), ("creativity", 1), ("total", 2))
TERMS = [term for term, _ in DIGITS]
CLIP = 24  # maximum number of printed characters of a name


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
    from microgpt_evolution.objectives.judge import find_repeats, known_names, normal, score_names
    from microgpt_evolution.objectives.judge import judge as find_verdict

    path = against or default_input()
    known = known_names(load_text(path))
    rows = [
        {"name": name, **_terms(find_verdict(name, known)), "is_known": normal(name) in known}
        | {"is_repeat": is_repeat}
        for name, is_repeat in zip(batch, find_repeats(batch), strict=True)
    ]
    result = score_names(batch, known)
    if as_json:
        print(json.dumps({"names": rows, **asdict(result)}))
        return
    for line in [*_table(rows, path.name), "", *_summary(result, rows)]:
        print(line)


def _read_names() -> Iterator[str]:
    """Yield names from standard input, without the prefix of `microgpt generate`."""
    if sys.stdin.isatty():
        note("enter names, one per line; finish with Ctrl-D")
    for line in sys.stdin.read().removeprefix("\ufeff").split("\n"):  # skip a byte order mark
        if sample := SAMPLE.match(line):
            yield line[sample.end() :]  # empty samples are also scored
        elif line.strip():
            yield line.strip()


def _terms(verdict: "Verdict | None") -> dict[str, Any]:
    return {**asdict(verdict), "total": verdict.total} if verdict else dict.fromkeys(TERMS)


def _table(rows: Sequence[dict[str, Any]], known: str) -> Iterator[str]:
    """Yield the lines of the table of names; `known` is the file of known names."""
    from microgpt_evolution.objectives.judge import WEIGHTS
    from microgpt_evolution.scaling.tables import columns

    weights = [f" ×{weight:g}" * (weight != 1) for weight in (*asdict(WEIGHTS).values(), 1)]
    titles = [term + weight for term, weight in zip(TERMS, weights, strict=True)]
    cells = [
        [
            printable(row["name"].strip(), CLIP),
            *("-" if row[term] is None else f"{row[term]:.{digits}f}" for term, digits in DIGITS),
            _remark(row, printable(known, CLIP)),
        ]
        for row in rows
    ]
    return columns(["name", *titles, ""], cells, left=["name", ""])


def _remark(row: dict[str, Any], known: str) -> str:
    """Return a remark on the name, or an empty string."""
    from microgpt_evolution.objectives.judge import MIN_LENGTH, normal

    if row["total"] is None:
        is_short = len(normal(row["name"])) < MIN_LENGTH
        return f"shorter than {MIN_LENGTH} letters" if is_short else "not only letters"
    remarks = [f"in {known}"] if row["is_known"] else []
    if row["is_repeat"]:
        remarks.append("repeated: counts as 0" if row["total"] > 0 else "repeated")
    return ", ".join(remarks)


def _summary(result: "NameScores", rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    from microgpt_evolution.objectives.judge import HEADS

    n_judged = sum(row["total"] is not None for row in rows)
    what = f"mean total of {n_judged} of {len(rows)} names"
    what = what if n_judged else "no name could be scored"
    yield f"{'Judge':<8}  {result.scores['judge']:9.4f}  ({what})"
    for name, head in HEADS.items():
        if name in result.scores:
            yield f"{head.title:<8}  {result.scores[name]:9.4f}  ({head.quality})"
    yield f"{'distinct':<8}  {result.distinct:9.1%}"
