"""Build the page that shows each part of examples/karpathy.py beside its explanation.

The explanations are the sections of docs/karpathy.md. The heading of a section is the name of a
part; the comment at the beginning of the part starts with the same name. After a change of the
program, this command writes its code into docs/karpathy.md:

    uv run python docs/site/annotated.py
"""

import re
from pathlib import Path

from errors import SiteError

PAGE = "docs/karpathy.md"
SOURCE = "examples/karpathy.py"
ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"\n```py\n.*?\n```\n", re.DOTALL)  # the code block of a section
PART = re.compile(r"(?m)^# ([A-Z][\w ]*): ")  # a comment such as "# Tokenizer: …"


def page(explanation: str, code: str) -> str:
    """Return the Markdown of the site's page, with each explanation beside its source code.

    Raises:
        SiteError: a part of the source has no explanation, or an explanation has no part.
    """
    introduction, sections = explained(explanation, code)
    rows = [
        '<div class="annotated" markdown>\n<div markdown>\n\n'
        f"## {section}\n\n</div>\n\n"
        f'``` {{.python linenums="{start}"}}\n{block}\n```\n\n</div>\n'
        for section, start, block in sections
    ]
    return "\n".join([introduction, *rows])


def with_code(explanation: str, code: str) -> str:
    """Return docs/karpathy.md with the current source code of each part below its explanation.

    The blocks are marked `py`, because the tests run all blocks in docs/ that are marked `python`.
    """
    introduction, sections = explained(explanation, code)
    rows = [f"## {section}\n\n```py\n{block}\n```\n" for section, _, block in sections]
    return "\n".join([f"{introduction.strip()}\n", *rows])


def explained(explanation: str, code: str) -> tuple[str, list[tuple[str, int, str]]]:
    """Return the introduction and, for each section, its text, its code, and the code's line."""
    introduction, *sections = CODE.sub("\n", explanation).split("\n## ")
    starts = {"Beginning": 1}
    starts |= {part[1]: code[: part.start()].count("\n") + 1 for part in PART.finditer(code)}
    found = [section.partition("\n")[0] for section in sections]
    if found != list(starts):
        raise SiteError(f"{PAGE} explains {found}, but the parts of {SOURCE} are {list(starts)}")
    lines = code.splitlines()
    ends = [*[start - 1 for start in starts.values()][1:], len(lines)]
    return introduction, [
        (section.strip(), start, "\n".join(lines[start - 1 : end]).rstrip())
        for section, start, end in zip(sections, starts.values(), ends, strict=True)
    ]


if __name__ == "__main__":
    path, source = ROOT / PAGE, ROOT / SOURCE
    text = with_code(path.read_text(encoding="utf-8"), source.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
