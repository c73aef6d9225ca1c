"""The pictures of benchmarks, drawn from the stored results."""

import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the specification of each picture by name."""
    folder = tmp_path_factory.mktemp("pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "bench")
        report: Any = importlib.import_module("report")
        patch.setattr(report, "DRAWN", folder)
        patch.setattr(report, "PAGES", [])
        specifications: list[dict[str, Any]] = []
        patch.setattr(report, "picture", lambda chart, _: specifications.append(chart) or b"")
        report.main()
        names = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return dict(zip((path.stem for path in names), specifications, strict=True))


def test_the_docs_show_the_latest_result_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "bench")
    report: Any = importlib.import_module("report")
    pages = list(report.PAGES)
    copies = [Path(shutil.copy(page, tmp_path)) for page in pages]
    monkeypatch.setattr(report, "PAGES", copies)
    monkeypatch.setattr(report, "DRAWN", tmp_path)
    monkeypatch.setattr(report, "picture", lambda *_: b"")
    report.main()
    differing = [
        a.name for a, b in zip(pages, copies, strict=True) if a.read_text() != b.read_text()
    ]
    assert differing == [], "run `uv run python bench/report.py`"


def axes(chart: Any) -> Iterator[dict[str, Any]]:
    """Yield the encodings of a chart that have a logarithmic scale."""
    if isinstance(chart, dict):
        scale = chart.get("scale")
        if isinstance(scale, dict) and scale.get("type") in ("log", "symlog"):
            yield chart
        chart = list(chart.values())
    if isinstance(chart, list):
        for part in chart:
            yield from axes(part)


def test_every_logarithmic_axis_is_labelled_as_logarithmic(drawn) -> None:
    titles = [axis["title"] for chart in drawn.values() for axis in axes(chart)]
    assert len(titles) >= 6
    assert [title for title in titles if not title.endswith(" (log scale)")] == []


def test_every_picture_has_a_title(drawn) -> None:
    parts = [part for c in drawn.values() for part in c.get("hconcat", c.get("vconcat", [c]))]
    assert all("title" in part for part in parts)


def test_the_benchmark_report_reads_every_stored_result() -> None:
    report: Any = importlib.import_module("report")
    read = {report.stored_as(module) for module in report.modules()}
    stored = {path.name.split(".")[0] for path in (ROOT / "bench" / "results").rglob("*.json*")}
    assert stored - read == {"search_table"}  # by search_fight
