"""The number of words that a user is asked to read."""

import re
import tomllib
from pathlib import Path

from build import ROOT, SITE, nav_paths

MOST = 25_000
LOOKED_UP = {"Measurements", "Reference"}  # sections of the navigation
APART = ("docs/annotated/", "docs/decisions/")  # source code with its explanation; reasons
CODE = re.compile(r"(?ms)^ *(`{3,}).*?^ *\1")


def n_words(path: Path) -> int:
    """Return the number of words of a page, without its code and the output of commands."""
    return len(CODE.sub("", path.read_text(encoding="utf-8")).split())


def test_the_pages_to_be_read_have_at_most_25000_words() -> None:
    """If this fails, shorten a page, or move what is only looked up to docs/reference."""
    nav = tomllib.loads((SITE / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    read = nav_paths([section for section in nav if not LOOKED_UP & section.keys()])
    words = {path: n_words(ROOT / path) for path in read if not path.startswith(APART)}
    assert len(words) > 25
    longest = sorted(words, key=words.__getitem__)[-5:]
    assert sum(words.values()) <= MOST, f"{sum(words.values()):,} words; longest: {longest}"
