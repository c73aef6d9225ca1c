"""Tests of the sizes in docs/architecture.md, and of the map in CONTRIBUTING."""

import re
import tomllib
from pathlib import Path

import pytest
from build import ROOT, SITE, nav_paths

from microgpt import ModelConfig, count_params
from microgpt.settings import PRESETS, preset_settings, with_given

ROW = re.compile(r"^\| (.*\]\(.*) \| ([\d,]+) \|$", re.MULTILINE)
PAGE = ROOT / "docs/architecture.md"
SIZES = ROW.findall(PAGE.read_text().partition("## How large")[2])
MAP = (ROOT / "CONTRIBUTING.md").read_text().partition("## Map")[2].split("```")[1]
SOURCES = ("libs", "evolution", "apps", "apis")


def n_lines(path: Path) -> int:
    files = path.rglob("*.py") if path.is_dir() else [path]
    return sum(len(file.read_text().splitlines()) for file in files)


def mapped() -> set[Path]:
    """Return the paths in the map; an indented path is relative to the one that precedes it."""
    found, above = set(), ROOT
    for line in MAP.strip("\n").splitlines():
        indent, paths = re.fullmatch(r"( *)(\S+(?:, \S+)*)  +.*", line).groups()
        found |= {(above if indent else ROOT) / path for path in paths.split(", ")}
        above = above if indent else ROOT / paths
    return found


@pytest.mark.parametrize(("part", "said"), SIZES)
def test_documented_package_sizes_are_within_10_percent(part, said) -> None:
    n = sum(n_lines(PAGE.parent / path) for path in re.findall(r"\]\(([^)]+)\)", part))
    rounded = round(n, -1 if n < 1000 else -2)
    name = re.sub(r"\[|\]\([^)]*\)", "", part)
    assert abs(int(said.replace(",", "")) / n - 1) < 0.1, f"{name} has {rounded:,} lines"


def test_the_repository_map_lists_only_existing_paths() -> None:
    assert not [path for path in mapped() if not path.exists()]


def test_the_repository_map_lists_every_package() -> None:
    packages = {
        init.parent for name in SOURCES for init in (ROOT / name).rglob("src/**/__init__.py")
    }
    missing = {str(path.relative_to(ROOT)) for path in packages - mapped()}
    assert not missing, f"CONTRIBUTING, Map: add a line for {', '.join(sorted(missing))}"


@pytest.mark.parametrize("name", PRESETS)
def test_the_docs_list_each_preset_and_the_sizes_for_names_txt(name) -> None:
    lines = (ROOT / "docs/training.md").read_text().splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    if PRESETS[name].get("data") == "names.txt":
        model = with_given(ModelConfig(), {**preset_settings(name), "vocab_size": 27})
        assert f"| {count_params(model):,} |" in row


MOST = 20_000
LOOKED_UP = {"Measurements and decisions", "Reference"}  # sections that contain no guides
CODE = re.compile(r"(?ms)^ *(`{3,}).*?^ *\1")


def pages() -> dict[str, str]:
    """Return the text of each page that is outside the sections LOOKED_UP, by its path."""
    nav = tomllib.loads((SITE / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    paths = nav_paths([section for section in nav if not LOOKED_UP & section.keys()])
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}


def test_all_guides_together_have_at_most_20000_words() -> None:
    """Code and output do not count. If the test fails, move parts of a page to docs/reference."""
    words = {path: len(CODE.sub("", text).split()) for path, text in pages().items()}
    assert len(words) > 25
    longest = sorted(words, key=words.__getitem__)[-5:]
    assert sum(words.values()) <= MOST, f"{sum(words.values()):,} words; longest: {longest}"


def test_each_guide_begins_with_a_line_that_says_for_whom_it_is() -> None:
    beginnings = {path: text.split("\n\n", 2)[1] for path, text in pages().items()}
    assert not [path for path, text in beginnings.items() if not text.startswith("For ")]
