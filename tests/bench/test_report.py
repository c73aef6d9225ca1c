"""The tables and counts of the documentation, from the scripts of bench/."""

import re
import shutil
from pathlib import Path

import compare
import pytest
import report

ROOT = Path(__file__).parents[2]


def test_the_docs_show_the_latest_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = list(report.PAGES)
    copies = [Path(shutil.copy(page, tmp_path)) for page in pages]
    monkeypatch.setattr(report, "PAGES", copies)
    report.main()
    differing = [
        a.name for a, b in zip(pages, copies, strict=True) if a.read_text() != b.read_text()
    ]
    assert differing == [], "run `uv run python bench/report.py`"


def test_every_stored_result_has_a_script_that_reads_it() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "bench").glob("*.py"))
    for path in (ROOT / "bench" / "results").iterdir():
        script = ROOT / "bench" / f"{path.stem}.py"
        tables = script.exists() and re.search(r"^TABLES = ", script.read_text("utf-8"), re.M)
        assert tables or path.name in code, path.name


@pytest.mark.parametrize(
    "page",
    ["docs/measurements/comparison.md", "docs/decisions/engines.md"],
)
def test_the_docs_state_the_measured_number_of_graph_nodes(page: str) -> None:
    assert f" {compare.nodes_per_step():,.0f} " in (ROOT / page).read_text(encoding="utf-8")
