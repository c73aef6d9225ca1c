"""Find out whether the sources that the compiled engine implements have been edited.

The kernels are written by hand: a change in model.py changes the reference engine only. The
compiled engine therefore stores hashes of the syntax trees that it implements, and refuses any
other code.
"""

import ast
from functools import cache
from hashlib import sha256
from itertools import chain
from pathlib import Path

from microgpt.errors import ConfigError

FOLDER = Path(__file__).parent
# The code that the kernels implement: the start of the SHA-256 of each file's syntax tree.
IMPLEMENTED = {
    "model.py": "a9a1c0e689fdd4e0",
    "model_variants.py": "88d11564234803cf",
    "muon.py": "ab1334714f5333cb",
    "reference.py": "4d1b0ccb6d414954",
    "sampling.py": "f9f1add4864917e8",
    "value.py": "122af88988b9a36e",
}
UNCHANGED = "7667e9b5b6f32e73"  # hash of these files as they are, so that they need not be parsed


@cache
def find_edited_sources() -> dict[str, str]:
    """Return the hash of each file whose code, without comments, the kernels do not implement."""
    if files_hash() == UNCHANGED:
        return {}
    found = {name: code_hash((FOLDER / name).read_text(encoding="utf-8")) for name in IMPLEMENTED}
    return {name: each for name, each in found.items() if each != IMPLEMENTED[name]}


def edit_missing_in(what: str) -> str:
    """Return what is edited and that another implementation does not have it; "" if nothing is."""
    if not (edited := find_edited_sources()):
        return ""
    have = "has" if len(edited) == 1 else "have"
    return f"{' and '.join(edited)} {have} been edited, and {what} does not implement the change"


def check_unedited(what: str) -> None:
    """Raise ConfigError if another implementation does not implement the current sources."""
    if problem := edit_missing_in(what):
        raise ConfigError(f"{problem}; undo the edit")


def files_hash() -> str:
    """Return a hash of the contents of all files."""
    return _short(b"\0".join((FOLDER / name).read_bytes() for name in IMPLEMENTED))


def code_hash(source: str) -> str:
    """Return a hash of a syntax tree, the same on all versions of Python."""
    return _short(repr(_nodes(ast.parse(source))).encode())


def _nodes(node: object) -> list[object]:
    """Return the types and the values of a syntax tree, without docstrings."""
    if isinstance(node, list):
        return ["[", *chain.from_iterable(map(_nodes, node)), "]"]
    if not isinstance(node, ast.AST):
        return [node]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return []
    # Newer versions have more fields, which are empty.
    found = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
    return [type(node).__name__, *chain.from_iterable((name, *_nodes(v)) for name, v in found)]


def _short(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
