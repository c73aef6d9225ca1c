"""The sizes in docs/architecture.md, and the map in CONTRIBUTING."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (.*\]\(.*) \| ([\d,]+) \|$", re.MULTILINE)
PAGE = ROOT / "docs/architecture.md"
SIZES = ROW.findall(PAGE.read_text().partition("## How large")[2])
MAP = (ROOT / "CONTRIBUTING.md").read_text().partition("## Map")[2].split("```")[1]
SOURCES = ("libs", "evolution", "apps", "apis")


def n_lines(path: Path) -> int:
    files = path.rglob("*.py") if path.is_dir() else [path]
    return sum(len(file.read_text().splitlines()) for file in files)


def mapped() -> set[Path]:
    """Return the paths of the map; an indented one is below the last one that is not."""
    found, above = set(), ROOT
    for line in MAP.strip("\n").splitlines():
        indent, paths = re.fullmatch(r"( *)(\S+(?:, \S+)*)  +.*", line).groups()
        found |= {(above if indent else ROOT) / path for path in paths.split(", ")}
        above = above if indent else ROOT / paths
    return found


@pytest.mark.parametrize(("part", "said"), SIZES)
def test_the_sizes_of_the_parts_are_correct_within_10_percent(part, said) -> None:
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
