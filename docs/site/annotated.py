"""Annotated source: each definition of a file beside its explanation.

The explanations are the sections of a Markdown file. A heading names what a section explains: one
definition, or several that follow each other. Every definition needs an explanation, and every
explanation a definition, in the order of the source.
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
SCRIPT_PART = re.compile(r"(?m)^# ([A-Z][\w ]*): ")  # a comment such as "# Tokenizer: …"


def page(explanation: Path, source: Path) -> str:
    """Return the Markdown of a page with the whole source and its explanation side by side.

    Raises:
        SiteError: a part of the source has no explanation, or an explanation no part.
    """
    code = source.read_text(encoding="utf-8")
    introduction, *sections = explanation.read_text(encoding="utf-8").split("\n## ")
    starts = parts(code)
    explained = [name for section in sections for name in names(section)]
    if explained != list(starts):
        missing = [name for name in starts if name not in explained]
        extra = [name for name in explained if name not in starts]
        problem = f"no explanation: {missing}; no such definition: {extra}"
        if not missing and not extra:
            problem = f"the explanations are not in the order {list(starts)}"
        raise SiteError(f"{explanation.name} and {source.name}: {problem}")
    lines, ends = code.splitlines(), [*starts.values(), len(code.splitlines()) + 1]
    rows = []
    for section in sections:
        first, last = names(section)[0], names(section)[-1]
        start, end = starts[first], ends[list(starts).index(last) + 1]
        block = "\n".join(lines[start - 1 : end - 1]).rstrip()
        rows.append(
            '<div class="annotated" markdown>\n<div markdown>\n\n'
            f"## {section.strip()}\n\n</div>\n\n"
            f'``` {{.python linenums="{start}"}}\n{block}\n```\n\n</div>\n'
        )
    return "\n".join(["---\nhide: [navigation, toc]\n---\n", introduction, *rows])


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
