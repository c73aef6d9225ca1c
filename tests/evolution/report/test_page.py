import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from microgpt_evolution.report import page
from microgpt_evolution.report.page import Report, Section


def test_a_report_page_escapes_control_characters(monkeypatch) -> None:
    """A page may be looked at in a terminal, and HTML knows no control characters."""
    odd = "x\x1b]0;x\x07\x9b\u202e<é"
    sections = [Section("odd", odd, odd, head=[odd], rows=[[f"{odd}\n{odd}"]])]
    monkeypatch.setattr(page, "vega", str)
    text = page.render(Report(odd, odd, {odd: odd}, sections))
    assert not set("\x1b\x07\x9b\u202e") & set(text)
    assert r"<td>x\x1b]0;x\x07\x9b\u202e&lt;é" "\n" "x" in text


@pytest.fixture
def bundled(monkeypatch):
    """Bundle a short script for drawing, and tell reports where it is kept."""

    def keep_in(cache: Path) -> None:
        monkeypatch.setattr(page, "user_cache_path", lambda *_, **__: cache)

    drawing = SimpleNamespace(javascript_bundle=lambda _: "draw()")
    monkeypatch.setitem(sys.modules, "vl_convert", drawing)
    return keep_in


def test_the_plotting_script_is_cached_privately_for_its_user(bundled, tmp_path) -> None:
    cache = tmp_path / "cache" / "microgpt"
    bundled(cache)
    assert page.vega() == page.vega() == "draw()"
    assert [file.read_text() for file in cache.glob("vega-*.js")] == ["draw()"]
    assert os.name == "nt" or stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_damaged_plotting_script_is_replaced(bundled, tmp_path) -> None:
    bundled(tmp_path)
    page.vega()
    (file,) = tmp_path.glob("vega-*.js")
    file.write_bytes(b"\xff")
    assert page.vega() == file.read_text() == "draw()"
