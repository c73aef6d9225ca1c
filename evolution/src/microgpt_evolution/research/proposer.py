"""The built-in proposer changes numbers of a program at random."""

import ast
import random
from collections.abc import Iterator

from microgpt import ConfigError
from microgpt_evolution.research.research import PARTS, Research

FACTORS = (0.5, 0.7, 1.4, 2.0)
MAX_DRAWS = 100


def propose(research: Research, rng: random.Random) -> str:
    """Return the program of an interrupted try, else a change of the champion that is new.

    Raises:
        ConfigError: the champion has no dict of numbers called SETTINGS, or all were tried.
    """
    tries = research.tries
    if tries[-1].verdict in PARTS:
        return tries[-1].code
    known, champion = {each.code for each in tries}, research.champion
    for _ in range(MAX_DRAWS):
        if (found := changed(champion, rng)) not in known:
            return found
    raise ConfigError("the proposer found nothing new to try in SETTINGS = {…} of the program")


def changed(code: str, rng: random.Random) -> str:
    """Return a program with one or two numbers of its SETTINGS multiplied by a factor."""
    lines, numbers = code.split("\n"), [*_numbers(ast.parse(code))]
    chosen = rng.sample(numbers, min(len(numbers), rng.choice((1, 2))))
    for node, value in sorted(chosen, key=lambda each: -each[0].col_offset):
        new = value * rng.choice(FACTORS)
        text = str(max(1, round(new))) if isinstance(value, int) else f"{new:.2g}"
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + text + line[node.end_col_offset :]
    return "\n".join(lines)


def _numbers(tree: ast.Module) -> Iterator[tuple[ast.Constant, int | float]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SETTINGS":
            for each in ast.walk(node.value):
                match each:
                    case ast.Constant(value=bool()):
                        pass
                    case ast.Constant(value=int() | float() as value):
                        yield each, value
