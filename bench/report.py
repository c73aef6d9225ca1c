"""Write the benchmark tables of docs/measurements from bench/results.

    uv run python bench/report.py

The results of a table are in the file that is named after the table, or else in the file that is
named after its script. A table without results is left unchanged.
"""

import json
from importlib import import_module

from harness import BENCH, ROOT, results_file

PAGES = sorted((ROOT / "docs" / "measurements").glob("*.md"))


def main() -> None:
    tables = {}
    for path in sorted(BENCH.glob("*.py")):
        if "\nTABLES = " in path.read_text(encoding="utf-8"):
            module = import_module(path.stem)
            for name, table in module.TABLES.items():
                for file in (results_file(name), results_file(path.stem)):
                    if file.exists() and name not in tables:
                        tables[name] = table(json.loads(file.read_text()))
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        for name, table in tables.items():
            before, start, rest = page.partition(f"<!-- {name} -->\n")
            if start and table:
                page = f"{before}{start}{table}\n{rest[rest.index('<!-- end -->') :]}"
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
