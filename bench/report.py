"""Write the benchmark tables and pictures of docs/, and the list of studies, from bench/results.

uv run python bench/report.py
"""

import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

from harness import BENCH, ROOT, results
from study import descriptions, stored_as
from tables import rows

from microgpt_report.look import picture

DRAWN = ROOT / "docs" / "pictures"
PAGES = [
    *sorted((ROOT / "docs" / "measurements").glob("*.md")),
    ROOT / "docs" / "decisions" / "0046-no-replicas.md",
    BENCH / "README.md",
]


def main() -> None:
    """Write the tables and the pictures."""
    tables, charts = {"studies": studies_table()}, {}
    for module in modules():
        machines = results(stored_as(module))
        for name, table in getattr(module, "TABLES", {}).items():
            tables[name] = table(*machines)
        for name, chart in getattr(module, "PICTURES", {}).items():
            charts[name] = chart(*machines)
    for name in sorted(charts):  # in a fixed order, since the pictures have numbered parts
        (DRAWN / f"{name}.svg").write_bytes(picture(charts[name].to_dict(), "svg"))
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        path.write_text(filled(page, tables), encoding="utf-8")


def modules() -> Iterator[ModuleType]:
    """Yield the benchmarks and studies that have tables or pictures."""
    for path in sorted([*BENCH.glob("*.py"), *BENCH.glob("studies/*.py")]):
        if re.search(r"^(TABLES|PICTURES) = ", path.read_text(encoding="utf-8"), re.MULTILINE):
            name = path.relative_to(BENCH).with_suffix("")
            yield import_module(".".join(name.parts))


def studies_table() -> str:
    """Return the table of studies."""
    head = ["study", "question", "result"]
    return rows([head, ["---"] * 3, *(each.row for each in descriptions())])


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
