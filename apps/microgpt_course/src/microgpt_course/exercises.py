"""The exercises: files with a hole, which are made from the files of `solutions`."""

import re
import tomllib
from functools import cache
from pathlib import Path, PurePath

from microgpt import ConfigError, bundled

SOLUTIONS = Path(__file__).with_name("solutions")
WHOLE, EXPERIMENTS = "13_karpathy", "14_experiments"  # the whole program; trainings
UNCHANGED = "unchanged"  # the model with which experiments are compared
HOLE = re.compile(r"( *)# Your code(.*?)\n(.*?) *# End of your code\.\n", re.DOTALL)


@cache
def names() -> tuple[str, ...]:
    """Return the names of the exercises in order, such as 03_backward."""
    return tuple(sorted(path.stem for path in SOLUTIONS.glob("*.py")))


def solution(name: str) -> str:
    """Return the text of a solution."""
    if name == WHOLE:
        return bundled("karpathy.py").read_text(encoding="utf-8")
    return (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")


def with_holes(name: str) -> str:
    """Return the file that a learner completes: the solution without the learner's code."""
    text = (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")
    return HOLE.sub(r"\1# Your code\2\n\1raise NotImplementedError\n", text)


def hints(name: str) -> list[str]:
    """Return the hints of an exercise, from vague to almost the answer."""
    text = (SOLUTIONS / "hints.toml").read_text(encoding="utf-8")
    found: list[str] = tomllib.loads(text).get(name, [])
    return found


def find(given: str) -> str:
    """Return the name of the exercise with a number or name."""
    for name in names():
        number, word = name.split("_", 1)
        if PurePath(given).stem in (name, word, number, str(int(number))):
            return name
    raise ConfigError(
        f"there is no exercise {given!r}; use a number from 1 to {len(names())}, or a name, "
        f"such as {names()[0]}"
    )
