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
# Their tests need packages that the development environment does not have.
ELSEWHERE = ("/torch.py", "/sessions.py")
TYPES = {"annotation", "returns", "decorator_list", "bases"}  # fields that hold no code to test


@dataclass(frozen=True)
class Mutant:
    """A replacement of one line range of a file.

    Attributes:
        first, last: the lines of the statement, or of the head of a compound statement.
        function: the name of the function, empty for code that runs on import.
    """

    path: str
    line: int
    kind: str
    before: str
    after: str
    start: int  # in bytes, as `end`
    end: int
    first: int
    last: int
    function: str
    is_kernel: bool


def draw(root: Path, folders: tuple[str, ...], n: int, seed: int) -> list[Mutant]:
    """Draw n lines of these folders with something to mutate, and a mutant of each."""
    lines: dict[tuple[str, int], list[Mutant]] = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            for mutant in Sites(
                path.read_text(encoding="utf-8"), str(path.relative_to(root))
            ).all():
                lines.setdefault((mutant.path, mutant.line), []).append(mutant)
    rng, drawn = random.Random(seed), list[Mutant]()
    for place in rng.sample(sorted(lines), len(lines)):
        mutant = rng.choice(lines[place])
        if not mutant.path.endswith(ELSEWHERE) and is_valid(
            (root / mutant.path).read_bytes(), mutant
        ):
            drawn.append(mutant)
        if len(drawn) == n:
            break
    return drawn


def is_valid(source: bytes, mutant: Mutant) -> bool:
    """Return whether the mutant can be parsed and is different code."""
    try:
        return ast.dump(ast.parse(changed(source, mutant))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


def changed(source: bytes, mutant: Mutant) -> bytes:
    """Return the source with the mutant."""
    return source[: mutant.start] + mutant.after.encode() + source[mutant.end :]


class Sites:
    """The mutants of a source file."""

    def __init__(self, source: str, path: str) -> None:
        self.path, self.source = path, source.encode()
        self.starts = [0]
        for line in self.source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def all(self) -> Iterator[Mutant]:
        """Yield every mutant; a few cannot be parsed (see `is_valid`)."""
        yield from self._below(ast.parse(self.source), (1, 1), "", False)

    def _below(
        self, node: ast.AST, lines: tuple[int, int], function: str, is_kernel: bool
    ) -> Iterator[Mutant]:
        for name, value in ast.iter_fields(node):
            if name in TYPES:
                continue
            inside = function
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and name == "body":
                inside = function or node.name
                marks = {ast.unparse(each).partition("(")[0] for each in node.decorator_list}
                is_kernel = is_kernel or bool(marks & {"kernel", "inlined", "emitted"})
            for child in value if isinstance(value, list) else [value]:
                # Positions in f-strings are wrong before Python 3.12, and docstrings are no code.
                if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                    continue
                if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                    continue
                if isinstance(child, ast.stmt):
                    body = getattr(child, "body", None)
                    last = body[0].lineno - 1 if body else child.end_lineno or child.lineno
                    lines = child.lineno, max(child.lineno, last)
                for kind, after in mutations(child, name):
                    yield self._mutant(child, kind, after, lines, inside, is_kernel)
                yield from self._below(child, lines, inside, is_kernel)

    def _mutant(
        self, node: ast.AST, kind: str, after: str, lines: tuple[int, int], name: str, kernel: bool
    ) -> Mutant:
        line, last, column, end = (
            getattr(node, each) for each in ("lineno", "end_lineno", "col_offset", "end_col_offset")
        )
        start, stop = self.starts[line - 1] + column, self.starts[last - 1] + end
        before = self.source[start:stop].decode()
        return Mutant(
            self.path, line, kind, before, after, start, stop, *lines, name, kernel
        )  # fmt: skip


def mutations(node: ast.AST, field: str) -> Iterator[tuple[str, str]]:
    """Yield the kinds of the mutants of a node of the syntax tree, and their code."""
    yield from statements(node) if isinstance(node, ast.stmt) else expressions(node)
    if field == "test" and not isinstance(node, ast.Compare | ast.UnaryOp):
        yield "condition", f"(not ({ast.unparse(node)}))"


def statements(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """Yield the mutants of a statement."""
    match node:
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield "returned value", "return None"
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield "removed call", "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "removed statement", "pass"
        case ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break() | ast.Delete():
            yield "removed statement", "pass"
    if isinstance(node, ast.AugAssign) and type(node.op) in SWAPPED:
        yield "arithmetic", code(node, op=SWAPPED[type(node.op)]())


def expressions(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the mutants of an expression."""
    match node:
        case ast.Compare(ops=[op]):
            yield "comparison", code(node, ops=[SWAPPED[type(op)]()])
        case ast.BinOp(op=op) if type(op) in SWAPPED:
            yield "arithmetic", code(node, op=SWAPPED[type(op)]())
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
    """Return the code of the node with other fields."""
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return ast.unparse(other) if isinstance(node, ast.stmt) else f"({ast.unparse(other)})"
