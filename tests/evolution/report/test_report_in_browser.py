"""Tests of the reports of real searches, opened in a browser."""

from pathlib import Path

import altair as alt
import pytest
from playwright.sync_api import Page
from searches import AESTHETIC, HYDRA, SMALL, run_of

from microgpt_evolution.report.study_report import Report, render

pytestmark = pytest.mark.slow

PATIENCE_MS = 120_000  # time limit for drawing a page on a busy machine
PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
CUT = """all => all.flatMap(svg => {
  const whole = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => {
    const box = text.getBoundingClientRect();
    return box.width && (box.left < whole.left - 1 || box.right > whole.right + 1
      || box.top < whole.top - 1 || box.bottom > whole.bottom + 1);
  }).map(text => text.textContent);
})"""  # returns the texts that extend beyond their picture
MARKS = ".mark-symbol.role-mark path"  # excludes the marks of legends


def opened(page: Page, path: Path) -> None:
    """Open the file of a report in a browser page, and wait until it is loaded."""
    page.goto(path.as_uri(), wait_until="load", timeout=PATIENCE_MS)


def test_a_report_but_not_its_chart_follows_the_dark_mode(searched, page) -> None:
    opened(page, run_of(searched(*AESTHETIC)[1]) / "report.html")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(background) != light
    assert page.locator("svg > rect").get_attribute("fill") == "#ffffff"  # the chart stays white


@pytest.mark.parametrize(("width", "search"), [(360, HYDRA), (1600, SMALL)])
def test_a_report_fits_narrow_and_wide_screens(searched, page, search, width) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, run_of(searched(*search)[1]) / "report.html")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert max(page.locator("svg").evaluate_all("all => all.map(e => e.clientWidth)")) <= width
    assert page.locator("body > svg").evaluate_all(CUT) == []


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.stem)
def test_no_label_in_the_pictures_of_the_docs_is_cut_off(page, path) -> None:
    page.set_content(path.read_text(encoding="utf-8"))
    assert page.locator("text").count() > 2
    assert page.locator("body > svg").evaluate_all(CUT) == []


def test_samples_are_escaped_on_the_report_page(tmp_path, page) -> None:
    said = "</script><script>document.title = 'taken'</script><b>&amp;\u2028"
    chart = alt.Chart(alt.InlineData(values=[{"a": said}])).mark_point()
    chart = chart.encode(y="a:N", description="a:N")
    report = Report(said, said, {"input": said}, chart, said, [["id", "names"], ["g1-1", said]])
    (tmp_path / "report.html").write_text(render(report), encoding="utf-8")
    opened(page, tmp_path / "report.html")
    assert page.title() != "taken"
    assert page.locator("td").last.inner_text().startswith("</script><script>")
    assert page.locator(f"{MARKS} title").text_content() == said
