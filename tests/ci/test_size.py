"""The limits of .ci/size, in a small repository of its own."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
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
    "evolution/a.py": MODULE,
    "evolution/phrases.toml": "x = 1\n",
    "evolution/README.md": "Three words here.\n",
    "data/names.txt": "anna\n",
}
Size = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def size(tmp_path: Path) -> Size:
    """The script, in a repository whose limits are reached, after files were changed."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci/size")
    write(tmp_path, {".ci/limits.toml": LIMITS, **FILES})
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "all")

    def run(*args: str, **files: str) -> subprocess.CompletedProcess[str]:
        write(tmp_path, files)
        git(tmp_path, "add", ".")
        command = [sys.executable, tmp_path / ".ci/size", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=folder, check=True)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def exceeded(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the rows and units above their limit."""
    lines = [line for line in done.stdout.splitlines() if ", limit " in line]
    assert done.returncode == (1 if lines else 0), done.stderr
    return [line.partition(", limit ")[0] for line in lines]


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
def test_what_is_above_a_limit_is_named(size: Size, path: str, text: str, above: list[str]) -> None:
    assert exceeded(size(**{path: text})) == above


def test_the_table_shows_the_change_since_a_commit(size: Size) -> None:
    done = size("HEAD", **{"evolution/b.py": "z = 3\n"})
    row = next(line for line in done.stdout.splitlines() if line.startswith("evolution"))
    assert row.split()[1:] == ["5", "4", "+1", "3", "9", "6", "+3", "3.0"]
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_limits_are_lowered_and_never_raised(size: Size, tmp_path: Path) -> None:
    done = size("--lower", **{"evolution/a.py": "x\n", "data/code.bin": "x" * 1000})
    assert exceeded(done) == ["data: other files: 2 kB"]
    limits = tomllib.loads((tmp_path / ".ci/limits.toml").read_text())
    assert limits["evolution"] == {"lines": 1, "tokens": 1}
    assert limits["data: other files"] == {"kB": 1}
