"""What each file of the compiled engine says about its arrays."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "libs/microgpt_engine/src/microgpt_engine"
HEADINGS = re.findall(r"^#+ (.*)", (ROOT / "docs/engine.md").read_text(), re.MULTILINE)
SECTIONS = {heading.lower().replace(" ", "-") for heading in HEADINGS}


@pytest.mark.parametrize("name", [str(file.relative_to(ENGINE)) for file in ENGINE.rglob("*.py")])
def test_every_engine_file_names_its_array_layout_and_docs_page(name) -> None:
    doc = ast.get_docstring(ast.parse((ENGINE / name).read_text())) or ""
    assert "Layout: " in doc, f"{name}: name the layout of its arrays; see engine/__init__.py"
    (section, *_) = re.findall(r"docs/engine\.md#([\w-]+)", doc)
    assert section in SECTIONS
