"""Draw a random sample of docstrings, comments, messages and help texts to review the English.

    uv run python docs/draw_texts.py [--seed 1] [--each 15] [--package microgpt_serve]

Prints each text below its file and line. Messages are the arguments of exceptions, of `print` and
`echo`, and of logging calls. Help texts are the `help=` and `description=` arguments of options,
routes and fields.
"""

import argparse
import ast
import io
import random
import textwrap
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MIN_WORDS = 3  # minimum number of words in a comment, message or help text
ROOT = Path(__file__).parent.parent
DIRECTIVES = ("noqa", "type:", "fmt:", "mypy:", "pragma:")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PRINTING = ("print", "echo", "info", "warning", "error", "debug", "tell")
HELP = ("help", "description", "summary", "epilog")


class Text(NamedTuple):
    """A text in the source code, with its location."""

    kind: str
    path: Path
    line: int
    text: str


def docstrings(path: Path, tree: ast.Module) -> Iterator[Text]:
    """Yield the docstrings of a module and of its classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield Text("docstring", path, node.body[0].lineno, text)


def comments(path: Path, source: str) -> Iterator[Text]:
    """Yield the comments of a module; consecutive lines are joined into one comment."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found: list[Text] = []
    last_line = 0  # number of the last line that contained only a comment
    for token in tokens:
        text = token.string.lstrip("# ")
        if token.type != tokenize.COMMENT or text.startswith(DIRECTIVES):
            continue
        line, code = token.start[0], token.line[: token.start[1]].strip()
        if code:
            found.append(Text("comment", path, line, f"{code}  # {text}"))
        elif found and last_line == line - 1:
            found[-1] = found[-1]._replace(text=f"{found[-1].text} {text}")
        else:
            found.append(Text("comment", path, line, text))
        last_line = 0 if code else line
    yield from (one for one in found if len(one.text.rpartition("  # ")[2].split()) >= MIN_WORDS)


def messages_and_helps(path: Path, tree: ast.Module) -> Iterator[Text]:
    """Yield the messages and help texts among the arguments of calls."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        texts = [("help", keyword.value) for keyword in node.keywords if keyword.arg in HELP]
        if name.endswith(("Error", "Exit", "Refused", "Warning")) or name in PRINTING:
            texts += [("message", argument) for argument in node.args]
        for kind, value in texts:
            text = literal(value)
            if len(text.split()) >= MIN_WORDS:
                yield Text(kind, path, value.lineno, text)


def literal(value: ast.expr) -> str:
    """Return the text of a string literal; f-string expressions are kept in braces."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else ""
    if isinstance(value, ast.JoinedStr):
        parts = (f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue)
                 else literal(part) for part in value.values)  # fmt: skip
        return "".join(parts)
    return ""


def main() -> None:
    """Draw a sample of the texts of each kind, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=15, help="number of texts of each kind")
    parser.add_argument("--package", default="", help="draw from this package only")
    arguments = parser.parse_args()
    texts: list[Text] = []
    for path in sorted(ROOT.glob(f"**/src/{arguments.package}*/**/*.py")):
        if ".venv" not in path.parts:
            source = path.read_text()
            tree = ast.parse(source)
            texts += [*docstrings(path, tree), *comments(path, source)]
            texts += messages_and_helps(path, tree)
    rng = random.Random(arguments.seed)
    number = 0
    for kind in ("docstring", "comment", "message", "help"):
        population = [text for text in texts if text.kind == kind]
        for text in rng.sample(population, min(arguments.each, len(population))):
            number += 1
            print(f"{number}. {kind}, {text.path.relative_to(ROOT)}:{text.line}")
            print(textwrap.indent(text.text, "    ") + "\n")
        print(f"({len(population)} of kind {kind})\n")


if __name__ == "__main__":
    main()
