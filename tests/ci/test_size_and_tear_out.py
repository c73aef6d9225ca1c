"""Tests of `.ci/size`, which checks size limits, and of `.ci/tear_out`, which removes a package."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci/size"
MODULE = '"""One line."""\n\nx = 1\ny = 2\n'  # 4 lines, 6 tokens
LIMITS = """\
"evolution" = { lines = 4, tokens = 6 }
"packages: other files" = { lines = 1, tokens = 3 }
"settings, .ci, .github" = { lines = 9999, tokens = 9999 }
"documentation" = { words = 3 }
"data: other files" = { kB = 1 }
"""
FILES = {
    ".ci/limits.toml": LIMITS,
    "evolution/a.py": MODULE,
    "evolution/phrases.toml": "x = 1\n",
    "evolution/README.md": "Three words here.\n",
    "data/names.txt": "anna\n",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A repository that contains `.ci/size` and is exactly at its limits."""
    folder = tmp_path_factory.mktemp("repository")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    shutil.copy(SCRIPT, folder / ".ci/size")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "all")
    return folder


@pytest.fixture
def folder(repository: Path) -> Iterator[Path]:
    """The fixture `repository`; changes made by a test are undone when the test ends."""
    yield repository
    git(repository, "reset", "-q", "--hard")


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=folder, check=True)


def exceeded(folder: Path, *args: str, **files: str) -> tuple[list[str], list[str]]:
    """Change files, run `.ci/size`; return the rows above their limits, and all printed lines."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", ".")
    command = [sys.executable, folder / ".ci/size", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    above = [line.partition(", limit ")[0] for line in lines if ", limit " in line]
    assert done.returncode == (1 if above else 0), done.stderr
    return above, lines


@pytest.mark.parametrize(
    ("path", "text", "above"),
    [
        ("evolution/a.py", MODULE, []),
        ("evolution/a.py", MODULE + "# A comment.\n", ["evolution: 5 lines"]),
        ("evolution/a.py", "x, y = 1, 2\nz = 3\n", ["evolution: 10 tokens"]),
        ("evolution/a.py", 'x = 1\n# z = 3\n"""z = 3\nz = 3"""\n', []),
        ("evolution/a.py", 'x = """\ny = 2\n"""\n', ["evolution: 11 tokens"]),
        ("evolution/b.toml", "# why\n", ["packages: other files: 2 lines"]),
        ("evolution/a.js", 'f("//") // why', ["packages: JavaScript, HTML, CSS: 7 tokens"]),
        ("apps/new/a.py", "x\n", ["apps/new: 1 lines", "apps/new: 1 tokens"]),
        ("docs/page.md", "A fourth.\n", ["documentation: 5 words"]),
        ("data/code.bin", "x" * 1000, ["data: other files: 2 kB"]),
    ],
)  # fmt: skip
def test_only_rows_above_a_size_limit_are_named(folder: Path, path: str, text: str, above) -> None:
    assert exceeded(folder, **{path: text})[0] == above


def test_the_size_table_shows_the_change_since_a_commit(folder: Path) -> None:
    _, lines = exceeded(folder, "HEAD", **{"evolution/b.py": "z = 3\n"})
    row = next(line for line in lines if line.startswith("evolution"))
    assert row.split()[1:] == ["5", "4", "+1", "3", "9", "6", "+3", "3.0"]


def test_size_limits_are_lowered_and_never_raised_automatically(folder: Path) -> None:
    changes = {"evolution/a.py": "x\n", "data/code.bin": "x" * 1000}
    assert exceeded(folder, "--lower", **changes)[0] == ["data: other files: 2 kB"]
    limits = tomllib.loads((folder / ".ci/limits.toml").read_text())
    assert limits["evolution"] == {"lines": 1, "tokens": 1}
    assert limits["data: other files"] == {"kB": 1}


ROOT = Path(__file__).parents[2]
KEPT = {"libs/microgpt", "apps/microgpt_cli"}
FOLDERS = [*ROOT.glob("libs/*"), *ROOT.glob("ap?s/*"), ROOT / "evolution"]
PACKAGES = {str(folder.relative_to(ROOT)) for folder in FOLDERS} - KEPT


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_train_and_generate_succeed_without_an_optional_package(package, tmp_path) -> None:
    script = [sys.executable, ROOT / ".ci/tear_out", tmp_path / "copy", package]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
