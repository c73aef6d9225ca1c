"""Mutants: small changes of Python code that a test should notice."""

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult},
    **{ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr},
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
TYPES = {"annotation", "returns", "decorator_list", "bases"}  # AST fields without testable code


@dataclass(frozen=True)
class Mutant:
    """A replacement of a range of bytes in a file."""

    path: str
    line: int
    kind: str
    before: str
    after: str
    start: int
    end: int

    def changed(self, source: bytes) -> bytes:
        """Return the source with the mutant applied."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def draw(root: Path, folders: tuple[str, ...], n: int, seed: int) -> list[Mutant]:
    """Draw n lines with valid mutants from the folders' files, and return one mutant of each."""
    lines: dict[tuple[str, int], list[Mutant]] = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            for mutant in mutants_of(path.read_text("utf-8"), str(path.relative_to(root))):
                lines.setdefault((mutant.path, mutant.line), []).append(mutant)
    rng, drawn = random.Random(seed), list[Mutant]()
    for place in rng.sample(sorted(lines), len(lines)):
        mutant = rng.choice(lines[place])
        if is_valid((root / mutant.path).read_bytes(), mutant):
            drawn.append(mutant)
        if len(drawn) == n:
            break
    return drawn


def is_valid(source: bytes, mutant: Mutant) -> bool:
    """Return whether the mutant can be parsed and changes the syntax tree of the source."""
    try:
        return ast.dump(ast.parse(mutant.changed(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


def mutants_of(source: str, path: str) -> Iterator[Mutant]:
    """Yield every mutant of a source file; a few cannot be parsed (see `is_valid`)."""
    content, starts = source.encode(), [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, field in nodes_below(ast.parse(source)):
        for kind, after in mutations(node, field):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            yield Mutant(path, node.lineno, kind, content[start:end].decode(), after, start, end)


def nodes_below(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield the testable nodes of a syntax tree, each with the field that contains it."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            # F-strings have no mutants, because Python 3.11 reports wrong positions in them.
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr) or name in TYPES:
                continue
            yield child, name
            yield from nodes_below(child)


def mutations(node: ast.AST, field: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the replacement code of each mutant of a node of a syntax tree."""
    match node:
        case ast.Return(value=ast.expr()):
            yield "returned value", "return None"
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield "removed call", "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "removed statement", "pass"
        case ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break() | ast.Delete():
            yield "removed statement", "pass"
    if isinstance(node, ast.AugAssign | ast.BinOp) and type(node.op) in SWAPPED:
        yield "arithmetic", code(node, op=SWAPPED[type(node.op)]())
    if field == "test" and not isinstance(node, ast.Compare | ast.UnaryOp):
        yield "condition", f"(not ({ast.unparse(node)}))"
    yield from expressions(node)


def expressions(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield mutants of comparisons, Boolean operations, negations, constants, calls and names."""
    match node:
        case ast.Compare(ops=[op]):
            yield "comparison", code(node, ops=[SWAPPED[type(op)]()])
        case ast.BoolOp(op=op):
            yield "and, or", code(node, op=SWAPPED[type(op)]())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield "negation", f"({ast.unparse(operand)})"
        case ast.Constant(value=bool(value)):
            yield "constant", str(not value)
        case ast.Constant(value=int() | float() as value):
            yield "constant", str(value + 1)
        case ast.Call(args=[first, second, *others]) if not isinstance(second, ast.Starred):
            yield "swapped arguments", code(node, args=[second, first, *others])
        case ast.Name(id=name) if name in NAMES:
            yield "min, max, any, all", NAMES[name]


def code(node: ast.AST, **fields: object) -> str:
    """Return the code of a node with some fields replaced."""
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return ast.unparse(other) if isinstance(node, ast.stmt) else f"({ast.unparse(other)})"
