"""`microgpt judge`: score names with the judge and the Hydra's heads."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from microgpt import DataError, printable
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import AS_JSON, DEFAULT_TEXT, argument, option
from microgpt_evolution.objectives import judge as scoring

SAMPLE = re.compile(r"sample +\d+: ?")  # line prefix in the output of `microgpt generate`
DIGITS = {"flow": 1, "symmetry": 1, "creativity": 1, "total": 2}
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
    from microgpt_evolution.report.tables import text_of

    path = against or default_input()
    known = scoring.known_names(load_text(path))
    judged = zip(batch, scoring.find_repeats(batch), strict=True)
    rows = [{**_row(name, known), "is_repeat": is_repeat} for name, is_repeat in judged]
    facts = asdict(scoring.score_names(batch, known))
    if as_json:
        print(json.dumps({"names": rows, **facts}))
        return
    weights = scoring.WEIGHTS
    weighted = f"symmetry ×{weights.symmetry:g}", f"creativity ×{weights.creativity:g}"
    cells = (_cells(row, printable(path.name, CLIP)) for row in rows)
    for line in text_of([["name", "flow", *weighted, "total", ""], *cells], left=["name", ""]):
        print(line)
    n_judged = sum(row["total"] is not None for row in rows)
    mean = f"mean total of {n_judged} of {len(rows)} names"
    means = [("Judge", "judge", mean if n_judged else "no name could be scored")]
    means += [(head.title, name, head.quality) for name, head in scoring.HEADS.items()]
    print()
    for title, name, what in means:
        print(f"{title:<8}  {facts['scores'][name]:9.4f}  ({what})")
    print(f"{'distinct':<8}  {facts['distinct']:9.1%}")


def _read_names() -> Iterator[str]:
    """Yield names from standard input, without the prefix of `microgpt generate`."""
    if sys.stdin.isatty():
        note("enter names, one per line; finish with Ctrl-D")
    for line in sys.stdin.read().removeprefix("\ufeff").split("\n"):  # skip a byte order mark
        if sample := SAMPLE.match(line):
            yield line[sample.end() :]  # empty samples are also scored
        elif line.strip():
            yield line.strip()


def _row(name: str, known: frozenset[str]) -> dict[str, Any]:
    verdict = scoring.judge(name, known)
    terms = {term: getattr(verdict, term) if verdict else None for term in DIGITS}
    return {"name": name, **terms, "is_known": scoring.normal(name) in known}


def _cells(row: Mapping[str, Any], known: str) -> list[str]:
    """Return the cells of a name, the last with a remark; `known` is the file of known names."""
    terms = ("-" if row[term] is None else f"{row[term]:.{n}f}" for term, n in DIGITS.items())
    remarks = [f"in {known}"] if row["is_known"] else []
    if row["total"] is None:
        is_short = len(scoring.normal(row["name"])) < scoring.MIN_LENGTH
        remarks = [f"shorter than {scoring.MIN_LENGTH} letters" if is_short else "not only letters"]
    elif row["is_repeat"]:
        remarks.append("repeated: counts as 0" if row["total"] > 0 else "repeated")
    return [printable(row["name"].strip(), CLIP), *terms, ", ".join(remarks)]
