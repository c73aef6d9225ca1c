"""Names of classes over all packages, which a reader searches for."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
TWICE = {"Gpt"}  # in `microgpt_exports.torch`, too, whose users know its name from `microgpt`


def test_class_names_are_unique() -> None:
    places = defaultdict(list)
    for folder in ("libs", "evolution", "apps", "apis"):
        for file in (ROOT / folder).rglob("src/**/*.py"):
            if file.parent.name == "solutions":  # exercises, which define what the library has
                continue
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(file.relative_to(ROOT)))
    twice = {name: files for name, files in places.items() if len(files) > 1 and name not in TWICE}
    assert not twice, f"name each class by what it is: {twice}"
