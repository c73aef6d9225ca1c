"""Reports as people open them: in a real browser, of real searches."""

from pathlib import Path

import altair as alt
import commands
import pytest
from playwright.sync_api import Page
from searches import AESTHETIC, HYDRA, SMALL, run_of, write_names

from microgpt_evolution.report.page import Report, render
from microgpt_evolution.study import TRIALS

pytestmark = pytest.mark.slow

PATIENCE_MS = 120_000  # a page takes seconds, and a busy machine many more
PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
CUT = """all => all.flatMap(svg => {
  const whole = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => {
    const box = text.getBoundingClientRect();
    return box.width && (box.left < whole.left - 1 || box.right > whole.right + 1
      || box.top < whole.top - 1 || box.bottom > whole.bottom + 1);
  }).map(text => text.textContent);
})"""  # the texts that are partly outside of their pictures
MARKS = ".mark-symbol.role-mark path"  # not those of legends


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The directories of searches that have ended, each with its report."""
    folder = tmp_path_factory.mktemp("searches")
    write_names(folder)
    found = {}
    searches = {"loss": SMALL, "aesthetic": AESTHETIC, "hydra": HYDRA}
    for name, options in searches.items():
        commands.run("evolve", *options, cwd=folder, check=True)
        found[name] = run_of(folder)
    return found


def opened(page: Page, path: Path) -> None:
    """Open a report."""
    page.goto(path.as_uri(), wait_until="load", timeout=PATIENCE_MS)


@pytest.mark.parametrize("objective", ["loss", "aesthetic", "hydra"])
def test_a_report_draws_a_mark_for_each_evaluation(runs, page, objective) -> None:
    run = runs[objective]
    lines = (run / TRIALS).read_text().splitlines()
    n_searched = sum('"origin":"fresh"' not in line for line in lines)
    opened(page, run / "report.html")
    assert page.locator(MARKS).count() == n_searched
    assert page.locator(f"{MARKS} title").count() == n_searched
    assert page.locator("h1 + p").inner_text().endswith(run.name)
    assert page.locator("tr").count() > 2


def test_a_report_follows_the_dark_mode_of_the_system(runs, page) -> None:
    opened(page, runs["aesthetic"] / "report.html")
    colors = """() => [document.body, document.querySelector(".mark-text text"),
      document.querySelector("svg .background, svg > rect")].map(
        (e, i) => getComputedStyle(e)[i ? "fill" : "backgroundColor"])"""
    light = page.evaluate(colors)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(colors)
    assert all(before != after for before, after in zip(light, dark, strict=True))
    assert (light[0], dark[0]) == (light[2], dark[2])  # the chart has the color of the page


@pytest.mark.parametrize(("width", "objective"), [(360, "hydra"), (1600, "loss")])
def test_a_report_fits_narrow_and_wide_screens(runs, page, objective, width) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, runs[objective] / "report.html")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    widths = page.locator("svg").evaluate_all("all => all.map(e => e.clientWidth)")
    assert max(widths) <= width
    assert page.locator("body > svg").evaluate_all(CUT) == []


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.stem)
def test_no_label_in_the_pictures_of_the_docs_is_cut_off(page, path) -> None:
    page.set_content(path.read_text(encoding="utf-8"))
    assert page.locator("text").count() > 2
    assert page.locator("body > svg").evaluate_all(CUT) == []


def test_legend_symbols_are_fully_opaque(runs, page) -> None:
    opened(page, runs["hydra"] / "report.html")
    symbols = page.locator(".role-legend-symbol path")
    faint = [s for s in symbols.evaluate_all("all => all.map(e => e.getAttribute('opacity'))") if s]
    assert symbols.count() > 2
    assert set(faint) <= {"1"}


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
