"""Tests of the built site: its links, style, models and search, on pages opened as files."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build/site"
LOADS = {"img", "script", "iframe", "source"}  # elements whose `src` a browser loads
PAGES = (
    *("index", "docs/try", "docs/learn", "docs/karpathy", "docs/data"),
    *("docs/reference/http", "docs/reference/command_line", "docs/reference/command_line/train"),
)
OVERFLOW = "document.documentElement.scrollWidth - document.body.clientWidth"


class Page(HTMLParser):
    """The anchors, the links and the loaded files of a page."""

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


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (SITE.is_dir() or os.environ.get("CI")),
        reason="no site; build it with uv run --group docs python docs/site/build.py",
    ),
]


def test_every_internal_link_of_the_site_has_a_target() -> None:
    others = {SITE / "404.html", *SITE.glob("docs/models/*")}  # pages whose links are not checked
    pages = {path: Page(path) for path in SITE.rglob("*.html") if path not in others}
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


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1600, "dark")])
def test_site_pages_fit_the_width_and_are_accessible_offline(browser, width, scheme) -> None:
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
def test_models_in_the_site_train_draw_a_diagram_and_generate(page) -> None:
    page.goto((SITE / "index.html").as_uri())
    page.get_by_role("link", name="Try it in your browser").click()
    page.wait_for_url("**/docs/try.html")
    training = page.frame_locator("iframe[title='Train a model']")
    training.get_by_text("The training is finished.").wait_for()
    assert training.locator("#train-samples li[aria-current] .said").first.inner_text().isalpha()
    page.locator("iframe[title='Look inside a model']").scroll_into_view_if_needed()
    inside = page.frame_locator("iframe[title='Look inside a model']")
    inside.locator("#diagram button").first.wait_for()
    page.goto((SITE / "docs/give.html").as_uri())
    given = page.frame_locator("iframe[title='A model of names in one file']")
    given.get_by_label("Begins with").fill("mar")
    given.get_by_role("button", name="Generate").click()
    given.get_by_text(re.compile("^mar[a-z]*$")).first.wait_for()


def test_the_search_finds_explanations_first_and_opens_functions(browser) -> None:
    window = browser.new_page()
    window.goto((SITE / "index.html").as_uri())
    window.keyboard.press("Control+k")
    search = window.get_by_placeholder("Search")
    search.fill("softmax")
    window.get_by_role("option", name="softmax").first.wait_for()
    found = [(each.get_attribute("href") or "") for each in window.get_by_role("option").all()]
    explained = [i for i, link in enumerate(found) if "learn.html" in link or "glossary" in link]
    functions = [i for i, link in enumerate(found) if "reference/python" in link]
    assert explained[:2] == [0, 1]
    assert min(functions, default=len(found)) > 1
    search.fill("microgpt.model.Gpt")
    window.get_by_role("option", name="microgpt.model.Gpt").first.click()
    window.wait_for_url(re.compile(r"^file:.*docs/reference/python.*#microgpt\.model\.Gpt$"))
    assert "Gpt" in window.locator(":target").inner_text()
    window.close()
