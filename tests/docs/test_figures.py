"""Tests that each section of the docs with a measured figure names the source of its figures.

A section extends from one heading to the next. A figure is a number with a unit of measurement, or
a table with a unit in its header. CONTRIBUTING.md lists the kinds of sources.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("", "bench", "docs", "docs/measurements", "docs/reference")
PAGES = sorted(
    str(path.relative_to(ROOT)) for each in FOLDERS for path in (ROOT / each).glob("*.md")
)
UNIT = (
    r"(?:[µm]?s|seconds?|minutes?|hours?|[kKMGT]i?B|(?:kilo|mega|giga)bytes?|times (?:as|the)|%"
    r"|×(?! ?\d)|(?:\w+ )?\w+(?:/s| per second)|nats|bits|[GT]FLOP/s)(?![\w-])"
)
FIGURE = re.compile(
    rf"(?<![\w./-])(?P<n>\d[\d,.]*)(?:(?: to | and | or |–)\d[\d,.]*)? ?{UNIT}"
    r"|\bloss(?:es)? of (?P<loss>\d\.\d+)"
)
HEAD = re.compile(rf"^\|.*\b{UNIT}")
SOURCE = re.compile(
    r"<!-- \w+ -->"  # a table that bench/report.py writes
    r"|(?:bench|docs)/[\w/]*\w+\.\w+"  # a script
    r"|`\w+`, (?:[\w ]+ )?in commit [0-9a-f]{8}\b"  # a study that was deleted after this commit
    r"|\]\((?:[./\w]*/)?(?:measurements|decisions)/\w"
    r"|^ *```console$"  # a command with its output
)
FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
NOT_PROSE = re.compile(r"`[^`]*`|<[^>]*>|!\[[^\]]*\]\([^)]*\)|\]\([^)]*\)")
# Numbers that need no source: a pattern for the page, a pattern for the number, and the reason.
EXCUSED = (
    (r".", r"^95 %$", "the level of confidence intervals"),
    (r"docs/reference/", r"\d ?(s|seconds|[kKM]i?B|%)$", "settings, limits and formats"),
    (r"docs/teach\.md", r"minutes|bits|nats", "the plan of a lesson, and sums to do by hand"),
    (r"docs/glossary\.md", r"nats|bits", "definitions"),
    (r"docs/explain\.md", r"bits$", "a definition"),
    (r"docs/engine\.md", r"^20 ms$", "how long a call is made to last"),
)


def unsourced(text: str) -> Iterator[tuple[str, str]]:
    """Yield (section heading, figure or table header) pairs from sections without a source."""
    blocks: list[str] = []

    def kept(block: re.Match[str]) -> str:
        blocks.append(block[0])
        return f"\0{len(blocks) - 1}\0"

    for section in re.split(r"^(?=#+ )", FENCE.sub(kept, text), flags=re.MULTILINE):
        shown = "\n".join(blocks[int(i)] for i in re.findall(r"\0(\d+)\0", section))
        if re.search(SOURCE, section) or re.search(SOURCE.pattern, shown, re.MULTILINE):
            continue
        numbers = set(re.findall(r"\d[\d,.]*\d|\d", shown))
        prose = NOT_PROSE.sub("", re.sub(r"\0\d+\0", "", section))
        lines = prose.splitlines()
        for figure in FIGURE.finditer(prose):
            if (figure["n"] or figure["loss"]) not in numbers:
                yield lines[0], figure[0]
        for line, following in pairwise(lines):
            if re.match(r"\|[ :|-]+$", following) and HEAD.match(line):
                yield lines[0], line


@pytest.mark.parametrize("page", PAGES)
def test_every_measured_figure_in_the_docs_has_a_source(page: str) -> None:
    excuses = [figure for where, figure, _ in EXCUSED if re.match(where, page)]
    found = [
        f"{page}, {heading}: {figure}"
        for heading, figure in unsourced((ROOT / page).read_text(encoding="utf-8"))
        if not any(re.search(each, figure) for each in excuses)
    ]
    assert not found, f"without a source (CONTRIBUTING, Documentation): {found}"


@pytest.mark.parametrize(("page", "pattern", "reason"), EXCUSED)
def test_every_exempt_figure_occurs_and_has_a_reason(page: str, pattern: str, reason: str) -> None:
    texts = [(ROOT / each).read_text(encoding="utf-8") for each in PAGES if re.match(page, each)]
    assert any(re.search(pattern, figure) for text in texts for _, figure in unsourced(text))
    assert reason
