"""The built site: its links, looks, models and search, on pages opened as files."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from annotated import SOURCES
from axe_playwright_python.sync_playwright import Axe

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build/site"
LOADS = {"img", "script", "iframe", "source"}  # a browser fetches what these name in `src`
PAGES = (
    *("index", "docs/try", "docs/learn", "docs/annotated/model", "docs/data"),
    *("docs/reference/http", "docs/reference/command_line", "docs/reference/command_line/train"),
)
OVERFLOW = "document.documentElement.scrollWidth - document.body.clientWidth"

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """The anchors of a page, its links, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        if tag == "a":
            self.links.add(values.get("href") or "")
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loads.add(values.get("href") or "")
        elif tag in LOADS:
            self.loads.add(values.get("src") or "")


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    """The pages of the site, which CI has built."""
    if not SITE.is_dir():
        reason = "no site; build it with uv run --group docs python docs/site/build.py"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    others = {SITE / "404.html", *SITE.glob("docs/models/*")}  # models in a file are no pages
    return {path: Page(path) for path in SITE.rglob("*.html") if path not in others}


def test_every_link_leads_to_an_existing_page_and_heading(pages) -> None:
    dead = []
    for path, page in pages.items():
        for link in page.links | page.loads:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            has_anchor = target not in pages or parts.fragment in pages[target].ids
            if not (target.is_file() and has_anchor):
                dead.append(f"{path.relative_to(SITE)}: {link}")
    assert len(pages) > 50
    assert not dead


def test_every_notebook_page_contains_its_pictures(pages) -> None:
    found = [path for path in pages if path.name.endswith(".ipynb.html")]
    assert len(found) == len(list((ROOT / "examples/notebooks").glob("*.ipynb")))
    for path in found:
        pictures = [load for load in pages[path].loads if load.startswith("data:image/png;")]
        assert len(pictures) >= 2, path


def test_no_page_loads_anything_from_another_host(pages) -> None:
    assert not {load for page in pages.values() for load in page.loads if urlsplit(load).netloc}
    styles = list((SITE / "assets").rglob("*.css"))
    assert styles
    for path in styles:
        assert not re.search(r"(url\(|@import\s)[\"']?(https?:)?//", path.read_text()), path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_pages_are_accessible_and_work_offline(pages, browser, width, scheme) -> None:
    window = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints: list[str] = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("request", lambda request: complaints.append(request.url))
    for name in PAGES:
        window.goto((SITE / f"{name}.html").as_uri())
        assert window.evaluate(OVERFLOW) <= 0, name
        found = Axe().run(window).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], name
    assert not [line for line in complaints if not line.startswith(("file:", "blob:null/"))]
    window.close()


@pytest.mark.long
def test_no_page_scrolls_sideways_on_a_phone(pages, browser) -> None:
    window = browser.new_page(viewport={"width": 360, "height": 800})
    too_wide = []
    for path in pages:
        window.goto(path.as_uri(), wait_until="domcontentloaded")
        if window.evaluate(OVERFLOW) > 0:
            too_wide.append(path.relative_to(SITE))
    assert not too_wide
    window.close()


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_explanations_stand_beside_the_code_from_1100_pixels(pages, browser, name) -> None:
    for width, are_beside in ((1100, True), (1440, True), (1000, False), (360, False)):
        window = browser.new_page(viewport={"width": width, "height": 900})
        window.goto((SITE / name).with_suffix(".html").as_uri())
        for row in window.locator(".annotated").all():
            text, code = (row.locator(f"> :{place}-child") for place in ("first", "last"))
            text_box, code_box = text.bounding_box(), code.bounding_box()
            assert (text_box["x"] + text_box["width"] <= code_box["x"]) == are_beside
            assert (text_box["y"] + text_box["height"] <= code_box["y"]) != are_beside
        if are_beside:
            assert window.locator(".md-sidebar:visible").count() >= 1
        window.close()


def test_the_menu_and_all_options_are_reachable_on_a_phone(pages, browser) -> None:
    window = browser.new_page(viewport={"width": 360, "height": 800})
    window.goto((SITE / "index.html").as_uri())
    window.click(".md-header__button[for=__drawer]")
    window.get_by_text("Reference", exact=True).locator("visible=true").click()
    window.get_by_text("Command line", exact=True).locator("visible=true").click()
    window.get_by_role("link", name="microgpt train").locator("visible=true").click()
    window.wait_for_url("**/docs/reference/command_line/train.html")
    for cell in window.locator(".options td").all():
        box = cell.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    window.close()


@pytest.mark.long
def test_the_models_in_the_site_generate_and_learn_names(pages, page) -> None:
    page.goto((SITE / "index.html").as_uri())
    page.get_by_role("link", name="Try it in your browser").click()
    page.wait_for_url("**/docs/try.html")
    frame = page.frame_locator("iframe[title='Generate names']")
    frame.get_by_label("Begins with").fill("mar")
    frame.get_by_role("button", name="Generate").click()
    sample = frame.locator("#samples li").first
    sample.wait_for()
    assert re.match(r"mar[a-z]*", sample.inner_text())
    page.locator("iframe[title='Train a model']").scroll_into_view_if_needed()
    laboratory = page.frame_locator("iframe[title='Train a model']")
    laboratory.get_by_role("button", name="Train", exact=True).click()
    laboratory.locator("#train-speed").press("End")
    laboratory.get_by_text("The training is finished.").wait_for()
    learned = laboratory.locator("#train-samples li[aria-current] .said").first
    assert re.fullmatch(r"[a-z]+", learned.inner_text())


def test_the_site_search_works_on_pages_opened_as_files(pages, browser) -> None:
    window = browser.new_page()
    window.goto((SITE / "index.html").as_uri())
    window.keyboard.press("Control+k")
    window.get_by_placeholder("Search").fill("rmsnorm")
    window.get_by_role("option", name="rmsnorm").first.click()
    window.wait_for_url(re.compile(r"^file:.*docs/.*#.*rmsnorm$"))
    assert "rmsnorm" in window.locator(":target").inner_text()
    window.close()
