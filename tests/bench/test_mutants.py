"""The kinds of mutants."""

import pytest
from mutants import Sites, changed


@pytest.mark.parametrize(
    ("code", "mutants"),
    [
        ("a < b", {"(a <= b)"}),
        ("a - 2", {"(a + 2)", "a - 3"}),
        ("a -= b", {"a += b", "pass"}),
        ("f(a, b)", {"(f(b, a))", "pass"}),
        ("f(not a)", {"f((a))", "pass"}),
        ("a.b = min(c)", {"a.b = max(c)", "pass"}),
        ("if a: raise b", {"if (not (a)): raise b", "if a: pass"}),
        ("def f(x: int = 1) -> 'a < b': return x", {
            "def f(x: int = 2) -> 'a < b': return x", "def f(x: int = 1) -> 'a < b': return None",
        }),
        ("'''1 < 2'''", set()),
    ],
)  # fmt: skip
def test_every_kind_of_mutant_changes_one_place(code: str, mutants: set[str]) -> None:
    found = {changed(code.encode(), each).decode() for each in Sites(code, "x.py").all()}
    assert found == mutants
