"""Mutants are drawn, applied and judged."""

import subprocess
from pathlib import Path

import mutation
import pytest
from mutants import Sites, changed, draw

FOLDER = "libs/microgpt/src/microgpt"


@pytest.mark.parametrize(
    ("code", "mutants"),
    [
        ("a < b", {"(a <= b)"}),
        ("a is None and b", {"(a is not None) and b", "(a is None or b)"}),
        ("a - 2", {"(a + 2)", "a - 3"}),
        ("a -= b", {"a += b", "pass"}),
        ("f(a, b)", {"(f(b, a))", "pass"}),
        ("f(not a)", {"f((a))", "pass"}),
        ("f(x=True)", {"f(x=False)", "pass"}),
        ("a.b = min(c)", {"a.b = max(c)", "pass"}),
        ("if a: raise b", {"if (not (a)): raise b", "if a: pass"}),
        ("def f(x: int = 1) -> 'a < b': return x", {
            "def f(x: int = 2) -> 'a < b': return x", "def f(x: int = 1) -> 'a < b': return None",
        }),
        ("é = 'é'; f(1)", {"é = 'é'; f(2)", "é = 'é'; pass"}),
        ("'''1 < 2'''", set()),
    ],
)  # fmt: skip
def test_every_kind_of_mutant_changes_one_place(code: str, mutants: set[str]) -> None:
    found = {changed(code.encode(), each).decode() for each in Sites(code, "x.py").all()}
    assert found == mutants


def test_a_mutant_in_a_kernel_is_marked() -> None:
    code = "@kernel\ndef f(x):\n    return x + 1\n\ndef g(x):\n    return x + 1\n"
    assert {(each.function, each.is_kernel) for each in Sites(code, "x.py").all()} == {
        ("f", True),
        ("g", False),
    }


@pytest.mark.slow
def test_a_mutant_is_killed_by_a_test_that_notices_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, tests = tmp_path / FOLDER / "double.py", tmp_path / "tests/lib/test_double.py"
    for file in (source, tests, tmp_path / mutation.CODE, tmp_path / mutation.HASH):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nmarkers = ["slow"]\n')
    source.write_text("def double(x):\n    return x * 2\n")
    tests.write_text("from double import double\n\ndef test_zero():\n    assert double(0) == 0\n")
    name = ("-c", "user.name=a", "-c", "user.email=a")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run(["git", *name, *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(mutation, "ROOT", tmp_path)
    monkeypatch.setattr(mutation, "WORK", tmp_path / "work")
    tree, verdicts = mutation.Tree(0), {}
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(mutation.Tree, "packages", property(lambda self: self.root / FOLDER))
    for mutant in draw(tmp_path, (FOLDER,), 1, seed=1) and [
        *Sites(source.read_text(), str(source.relative_to(tmp_path))).all()
    ]:
        verdicts[mutant.after] = tree.judge(mutant, [["tests/lib/test_double.py"]])["verdict"]
    assert verdicts == {"return None": "killed", "(x / 2)": "survived", "3": "survived"}
    assert (tree.root / source.relative_to(tmp_path)).read_bytes() == source.read_bytes()
