"""Tests of the sources of the site: pages, links, and explanations of source files."""

import re
import tomllib
from pathlib import Path

import build
import command_line
import pytest
from annotated import PAGE, SOURCE, page, with_code
from build import ROOT, front_matter, nav_paths, settings_of
from errors import SiteError

PROGRAM = '''"""Boxes."""

# Sizes: of a box.
SIZE = 1

# Area: by size.
print(SIZE * SIZE)
'''
EXPLAINED = "# box\n\n## Beginning\n\nWhat.\n\n## Sizes\n\nTwo.\n\n## Area\n\nSquared.\n"


def test_the_annotated_page_shows_each_explanation_with_its_lines() -> None:
    rows = page(EXPLAINED, PROGRAM).split('<div class="annotated"')[1:]
    assert "Two." in rows[1]
    assert 'linenums="3"}\n# Sizes: of a box.\nSIZE = 1\n```' in rows[1]
    assert 'linenums="6"}\n# Area: by size.\nprint(SIZE * SIZE)\n```' in rows[2]


@pytest.mark.parametrize(
    "code",
    [
        f"{PROGRAM}\n# Volume: new.\n",
        PROGRAM.replace("# Area: by size.\n", ""),
        PROGRAM.replace("Sizes", "Colors"),
    ],
)
def test_explanations_that_do_not_match_the_parts_of_the_code_are_refused(code) -> None:
    with pytest.raises(SiteError, match=r"\['Beginning', 'Sizes', 'Area'\], but"):
        page(EXPLAINED, code)


def test_the_annotated_page_shows_the_current_source_code() -> None:
    """If this test fails, run `uv run python docs/site/annotated.py`."""
    text, code = ((ROOT / path).read_text(encoding="utf-8") for path in (PAGE, SOURCE))
    assert with_code(text, code) == text


FOLDERS = ("apis", "apps", "bench", "data", "docs", "evolution", "examples", "libs", "tests")
PAGES = [*ROOT.glob("*.md"), *(page for each in FOLDERS for page in (ROOT / each).rglob("*.md"))]
TO_HEADING = re.compile(r"\]\(([^)#:\s]*\.md|)#([^)\s]+)\)")


def without_code(page: Path) -> str:
    return re.sub(r"(?ms)^ *(`{3,}).*?^ *\1", "", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as on GitHub."""
    headings = re.findall(r"(?m)^#+ (.*)", without_code(page))
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


def test_every_link_to_a_heading_leads_to_an_existing_heading() -> None:
    links = [(page, *link) for page in PAGES for link in TO_HEADING.findall(without_code(page))]
    assert len(links) > 100
    dead = [
        (str(page), f"{path}#{anchor}")
        for page, path, anchor in links
        if anchor not in anchors(page.parent / (path or page.name))
    ]
    assert not dead


def test_every_relative_link_leads_to_a_file_of_the_repository() -> None:
    """Links to pages that exist only on the site are checked when the site is built."""
    dead = [
        f"{page.relative_to(ROOT)}: {link[2]}"
        for page in PAGES
        for link in build.LINK.finditer(page.read_text(encoding="utf-8"))
        if link[2] and not re.match("[a-z]+:", link[2]) and not (page.parent / link[2]).exists()
    ]
    assert len(PAGES) > 50
    assert not dead


@pytest.mark.parametrize("name", ["command_line", "http", "python"])
def test_a_generated_reference_replaces_the_end_of_its_source(name) -> None:
    path = f"docs/reference/{name}.md"
    beginning, rest = (ROOT / path).read_text(encoding="utf-8").split(build.REPLACED)
    text = build.text_of(path)
    assert text.startswith(f"{beginning}## ")
    assert rest not in text


def test_a_docs_page_missing_from_the_navigation_is_refused() -> None:
    with pytest.raises(SiteError, match=r"^docs/\w+.md is not in the nav"):
        build.write_pages(["README.md"])


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://name:secret@example.org/group/microgpt/", "https://example.org/group/microgpt"),
        ("git@github.com:somebody/microgpt.git", "https://github.com/somebody/microgpt"),
        ("/home/somebody/microgpt", ""),
    ],
)
def test_a_git_remote_becomes_a_web_address_without_credentials(remote, address) -> None:
    assert build.web_address(remote) == address


def test_pages_link_to_their_source_without_requests_to_github() -> None:
    address = "https://example.org/somebody/microgpt"
    assert tomllib.loads(settings_of(address))["project"]["repo_url"] == address
    assert "repo_url" not in tomllib.loads(settings_of(""))["project"]
    assert f"source: {address}/blob/HEAD/docs/learn.md\n" in front_matter("docs/learn.md", address)
    source = "libs/microgpt/src/microgpt/config.py"
    assert f"source: {address}/blob/HEAD/{source}\n" in front_matter(f"{source}.md", address)
    # With data-md-component, Zensical's script would request data from api.github.com.
    assert "data-md-component" not in (build.SITE / "theme/partials/source.html").read_text()
    train = f"{command_line.INDEX.removesuffix('.md')}/train.md"
    assert front_matter(train, address) == front_matter("docs/learn.md", "") == ""


def test_command_pages_show_options_and_are_in_the_nav_and_index() -> None:
    pages = command_line.pages()
    nav = list(nav_paths(tomllib.loads(settings_of(""))["project"]["nav"]))
    assert set(pages) <= set(nav)
    index = pages[command_line.INDEX]
    assert "(command_line/train.md){ #microgpt-train }: " in index
    assert "(command_line/course.md#microgpt-course-start){ #microgpt-course-start }: " in index
    assert "\n## microgpt course start\n" in pages["docs/reference/command_line/course.md"]
    assert "| `--steps <int>` |" in pages["docs/reference/command_line/train.md"]
