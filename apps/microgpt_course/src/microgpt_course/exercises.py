"""The exercises, made from `solutions` by removing code, and the lines that check them."""

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from microgpt import ConfigError, bundled

SOLUTIONS = Path(__file__).with_name("solutions")
WHOLE, EXPERIMENTS = "13_karpathy", "14_experiments"  # exercises with a longer time limit
UNCHANGED = "unchanged"  # name of the experiment with which the others are compared
HOLE = re.compile(r"( *)# Your code(.*?)\n(.*?) *# End of your code\.\n", re.DOTALL)
STEP = 1e-5  # step of a finite difference


class Line(NamedTuple):
    """A line of code that checks an exercise, as written in checks.toml."""

    code: str
    question: str  # about this line if it is compared, else about the next compared line
    is_compared: bool
    expected: str  # an expression; empty if the result of the solution is expected


@cache
def names() -> tuple[str, ...]:
    """Return the sorted names of the exercises, such as 03_backward."""
    return tuple(sorted(path.stem for path in SOLUTIONS.glob("*.py")))


def solution(name: str) -> str:
    """Return the source code of the solution of an exercise."""
    if name == WHOLE:
        return bundled("karpathy.py").read_text(encoding="utf-8")
    return (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")


def with_holes(name: str) -> str:
    """Return the file that a learner completes: the solution without the code to write."""
    text = (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")
    return HOLE.sub(r"\1# Your code\2\n\1raise NotImplementedError\n", text)


def hints(name: str) -> list[str]:
    """Return the hints of an exercise, from a vague one to one that is almost the answer."""
    return list(_table("hints.toml")[name])


def check_lines(name: str) -> list[Line]:
    """Return the lines that check an exercise."""
    found, following = list[Line](), ""
    for text in reversed(_table("checks.toml").get(name, "").splitlines()):
        code, _, question = text.partition("  # ")
        code, _, expected = code.partition(" == ")
        following = question or following
        found.insert(0, Line(code, following, bool(question), expected))
    return found


def finite_difference(function: Callable[[float], float], x: float) -> float:
    """Return the slope of a function at x: the change of its result divided by the change of x."""
    return (function(x + STEP) - function(x - STEP)) / (2 * STEP)


def _table(file: str) -> dict[str, Any]:
    return tomllib.loads((SOLUTIONS / file).read_text(encoding="utf-8"))


def find(given: str) -> str:
    """Return the full name of an exercise, such as 03_backward, given its number or name."""
    for name in names():
        number, word = name.split("_", 1)
        if PurePath(given).stem in (name, word, number, str(int(number))):
            return name
    raise ConfigError(
        f"there is no exercise {given!r}; use a number from 1 to {len(names())}, or a name, "
        f"such as {names()[0]}"
    )
