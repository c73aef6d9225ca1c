"""Print the distinct identifiers of the Python files in some folders, in random order.

python examples/identifiers.py . > identifiers.txt
"""

import ast
import sys
import warnings
from pathlib import Path
from random import Random


def identifiers(path: Path) -> set[str]:
    """Return the names of functions, classes, arguments, variables and attributes."""
    try:
        with warnings.catch_warnings(action="ignore"):
            nodes = ast.walk(ast.parse(path.read_bytes()))
            fields = ("name", "id", "attr", "arg")
            found = {getattr(node, field, None) for node in nodes for field in fields}
    except (SyntaxError, ValueError):  # not valid Python, such as a template
        return set()
    return {name for name in found if isinstance(name, str)}


if __name__ == "__main__":
    files = [path for folder in sys.argv[1:] for path in Path(folder).rglob("*.py")]
    names = sorted(set().union(*map(identifiers, files)))
    Random(1).shuffle(names)
    print("\n".join(names))
