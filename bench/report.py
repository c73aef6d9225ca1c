"""Write the benchmark tables of docs/measurements from bench/results.

uv run python bench/report.py
"""

import json
import re
from importlib import import_module

from harness import BENCH, ROOT, results_file

PAGES = sorted((ROOT / "docs" / "measurements").glob("*.md"))


def main() -> None:
    """Write the tables."""
    tables = {}
    for path in sorted(BENCH.glob("*.py")):
        if re.search(r"^TABLES = ", path.read_text(encoding="utf-8"), re.MULTILINE):
            module = import_module(path.stem)
            file = results_file(path.stem)
            kept = [json.loads(file.read_text())] if file.exists() else []
            for name, table in module.TABLES.items():
                tables[name] = table(*kept)
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        path.write_text(filled(page, tables), encoding="utf-8")


def filled(page: str, tables: dict[str, str]) -> str:
    """Return the page with the text between the markers of each table replaced."""
    return re.sub(
        r"<!-- (\w+) -->\n.*?<!-- end -->",
        lambda m: f"<!-- {m[1]} -->\n{tables[m[1]]}\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    main()
