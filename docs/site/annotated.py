"""Annotated source: each definition of a file beside its explanation.

The explanations are the sections of a Markdown file. A heading names what a section explains: one
definition, or several that follow each other. Every definition needs an explanation, and every
explanation a definition, in the order of the source. After a change of a source, write its code
into the pages:

    uv run python docs/site/annotated.py
"""

import ast
import re
from pathlib import Path

from errors import SiteError

SOURCES = {
    "docs/annotated/karpathy.md": "examples/karpathy.py",
    "docs/annotated/value.md": "libs/microgpt/src/microgpt/value.py",
    "docs/annotated/model.md": "libs/microgpt/src/microgpt/model.py",
    "docs/annotated/reference.md": "libs/microgpt/src/microgpt/reference.py",
}
ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"\n```py\n.*?\n```\n", re.DOTALL)  # the code of a section
SCRIPT_PART = re.compile(r"(?m)^# ([A-Z][\w ]*): ")  # a comment such as "# Tokenizer: …"


def page(explanation: Path, source: Path) -> str:
    """Return the Markdown of a page of the site, with source and explanation side by side.

    Raises:
        SiteError: a part of the source has no explanation, or an explanation no part.
    """
    introduction, sections = explained(explanation, source)
    rows = [
        '<div class="annotated" markdown>\n<div markdown>\n\n'
        f"## {section}\n\n</div>\n\n"
        f'``` {{.python linenums="{start}"}}\n{block}\n```\n\n</div>\n'
        for section, start, block in sections
    ]
    return "\n".join([introduction, *rows])


def with_code(explanation: Path, source: Path) -> str:
    """Return an explanation with each part of the source below it, as GitHub shows it.

    Its blocks are not marked as Python, because the tests run Python in the documentation.
    """
    introduction, sections = explained(explanation, source)
    rows = [f"## {section}\n\n```py\n{block}\n```\n" for section, _, block in sections]
    return "\n".join([f"{introduction.strip()}\n", *rows])


def explained(explanation: Path, source: Path) -> tuple[str, list[tuple[str, int, str]]]:
    """Return the introduction and, for each section, its text, first line of code, and code."""
    code = source.read_text(encoding="utf-8")
    text = CODE.sub("\n", explanation.read_text(encoding="utf-8"))
    introduction, *sections = text.split("\n## ")
    starts = parts(code)
    found = [name for section in sections for name in names(section)]
    if found != list(starts):
        missing = [name for name in starts if name not in found]
        extra = [name for name in found if name not in starts]
        problem = f"no explanation: {missing}; no such definition: {extra}"
        if not missing and not extra:
            problem = f"the explanations are not in the order {list(starts)}"
        raise SiteError(f"{explanation.name} and {source.name}: {problem}")
    lines, ends = code.splitlines(), [*starts.values(), len(code.splitlines()) + 1]
    rows = []
    for section in sections:
        first, last = names(section)[0], names(section)[-1]
        start, end = starts[first], ends[list(starts).index(last) + 1]
        rows.append((section.strip(), start, "\n".join(lines[start - 1 : end - 1]).rstrip()))
    return introduction, rows


def names(section: str) -> list[str]:
    """Return the definitions that a section explains, from its heading."""
    return section.partition("\n")[0].replace("`", "").split(", ")


def parts(code: str) -> dict[str, int]:
    """Return the parts of a source file with the number of the line where each begins.

    The parts of a module are what stands before the first definition, the definitions, and the
    methods of its classes. A script is divided by its comments.
    """
    found = {"Beginning": 1}
    if comments := list(SCRIPT_PART.finditer(code)):
        return found | {c[1]: code[: c.start()].count("\n") + 1 for c in comments}
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = first_line(node)
            for child in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(child, ast.FunctionDef):
                    found[f"{node.name}.{child.name}"] = first_line(child)
        elif isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = node.lineno
    return found


def first_line(node: ast.FunctionDef | ast.ClassDef) -> int:
    """Return the line where a definition begins, with its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


if __name__ == "__main__":
    for name, source in SOURCES.items():
        path = ROOT / name
        path.write_text(with_code(path, ROOT / source), encoding="utf-8")
