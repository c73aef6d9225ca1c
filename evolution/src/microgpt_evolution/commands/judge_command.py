"""`microgpt judge`: score names with the judge and the Hydra's heads."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from microgpt import DataError, printable
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import DEFAULT_TEXT, argument, option
from microgpt_evolution.objectives import aesthetic_judge as scoring

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
    from microgpt_evolution.report.ranking import text_of

    path = against or default_input()
    listed, weights = scoring.known_names(load_text(path)), scoring.WEIGHTS
    weighted = f"symmetry ×{weights.symmetry:g}", f"creativity ×{weights.creativity:g}"
    repeats = scoring.find_repeats(batch)
    rows = [
        _row(name, is_repeat, path.name if scoring.normal(name) in listed else "", listed)
        for name, is_repeat in zip(batch, repeats, strict=True)
    ]
    for line in text_of([["name", "flow", *weighted, "total", ""], *rows], left=["name", ""]):
        print(line)
    scores = scoring.score_names(batch, listed)
    n_judged = sum("-" not in row for row in rows)
    mean = f"mean total of {n_judged} of {len(rows)} names"
    means = [("Judge", "judge", mean if n_judged else "no name could be scored")]
    means += [(head.title, name, head.quality) for name, head in scoring.HEADS.items()]
    print()
    for title, name, what in means:
        print(f"{title:<8}  {scores[name]:9.4f}  ({what})")
    print(f"{'distinct':<8}  {1 - sum(repeats) / len(repeats):9.1%}")


def _read_names() -> Iterator[str]:
    """Yield the lines of standard input, without the prefix that `microgpt generate` prints."""
    if sys.stdin.isatty():
        note("enter names, one per line; finish with Ctrl-D")
    for line in sys.stdin.read().removeprefix("\ufeff").split("\n"):  # skip a byte order mark
        if sample := SAMPLE.match(line):
            yield line[sample.end() :]  # empty samples are also scored
        elif line.strip():
            yield line.strip()


def _row(name: str, is_repeat: bool, file: str, listed: frozenset[str]) -> list[str]:
    """Return the table cells of a name; `file` is the name of a file that lists it, or ""."""
    verdict, remarks = scoring.judge(name, listed), [f"in {printable(file, CLIP)}"] if file else []
    terms = (f"{getattr(verdict, term):.{n}f}" if verdict else "-" for term, n in DIGITS.items())
    if verdict is None:
        is_short = len(scoring.normal(name)) < scoring.MIN_LENGTH
        remarks = [f"shorter than {scoring.MIN_LENGTH} letters" if is_short else "not only letters"]
    elif is_repeat:
        remarks.append("repeated: counts as 0" if verdict.total > 0 else "repeated")
    return [printable(name.strip(), CLIP), *terms, ", ".join(remarks)]
