"""The pages that a user is asked to read: how many words, and for whom."""

import re
import tomllib

from build import ROOT, SITE, nav_paths

MOST = 20_000
LOOKED_UP = {"Measurements", "Reference"}  # sections of the navigation
APART = ("docs/annotated/", "docs/decisions/")  # source code with its explanation; reasons
CODE = re.compile(r"(?ms)^ *(`{3,}).*?^ *\1")


def pages() -> dict[str, str]:
    """Return the text of each page to be read, by its path."""
    nav = tomllib.loads((SITE / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    paths = nav_paths([section for section in nav if not LOOKED_UP & section.keys()])
    return {
        path: (ROOT / path).read_text(encoding="utf-8")
        for path in paths
        if not path.startswith(APART)
    }


def test_the_pages_to_be_read_have_at_most_20000_words() -> None:
    """Code and output do not count. A longer page has parts that belong in docs/reference."""
    words = {path: len(CODE.sub("", text).split()) for path, text in pages().items()}
    assert len(words) > 25
    longest = sorted(words, key=words.__getitem__)[-5:]
    assert sum(words.values()) <= MOST, f"{sum(words.values()):,} words; longest: {longest}"


def test_each_page_to_be_read_says_first_for_whom_it_is() -> None:
    beginnings = {path: text.split("\n\n", 2)[1] for path, text in pages().items()}
    assert not [path for path, text in beginnings.items() if not text.startswith("For ")]
