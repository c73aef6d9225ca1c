"""Tests of the view "What if" of a page; `engine/test_what_if.py` tests its numbers."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_in_browser import check_accessible

from microgpt.data.documents import bundled, load_text

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

STEPS = 5000  # each of 2,000 names is used in two or three steps
WORKERS = """
    window.workers = [];
    window.Worker = class extends Worker {
        constructor(...all) { super(...all); workers.push(this); }
    };
"""
FIGURES = (
    r"These documents themselves take on average ([\d.]+) nats .* with all documents, ([\d.]+) "
    r"nats .* without these: ([\d.]+) nats .* more\. By chance alone, this seed and 4 others have "
    r"a standard deviation of ([\d.]+) nats .*; this is ([\d.]+) times as much\. Below 3 times it "
    r"may be chance\."
)
RUNNING = 5 * ("It was a dark and stormy night when the rain\n" * 4 + "\n")


def opened(page: "Page", file: Path, names: str) -> None:
    """Open "What if" for a run of STEPS steps on the given names, and fill in its fields."""
    page.goto(f"{file.as_uri()}#/train")
    page.get_by_text("The training is finished.").wait_for()  # training starts automatically
    page.click("#plan-fold summary")
    page.select_option("#texts-source", "paste")
    pasted(page, names, "documents with")
    page.evaluate(
        """wanted => {
            const slider = document.getElementById("plan-steps");
            for (let i = 0; i <= slider.max; i++) {
                slider.value = i;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                if (slider.ariaValueText.replace(",", "") === String(wanted)) return;
            }
            throw new Error("no such number of steps");
        }""",
        STEPS,
    )
    page.click("nav >> text=What if")
    for name, value in {"start": "emm", "asked": "emma", "seeds": "4"}.items():
        page.fill(f"#wish-{name}", value)


def pasted(page: "Page", text: str, about: str) -> None:
    """Paste a text, and wait until the page has read it, which can change the layout."""
    page.fill("#texts-pasted", text)
    page.locator("#texts-pasted").blur()
    page.wait_for_selector(f"#texts-about >> text={about}")


def asked(page: "Page", **fields: str) -> None:
    """Fill in the given fields, start a comparison, and wait for the result."""
    for name, value in fields.items():
        page.fill(f"#wish-{name}", value)
    page.click("#wish-compare")
    page.wait_for_selector("#wish-stop", state="hidden")


def cells(page: "Page", table: str) -> list[list[str]]:
    rows = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    return page.locator(f"#{table} tbody tr").evaluate_all(rows)


def first_names(n: int = 2000) -> str:
    return "\n".join(list(load_text(bundled("names.txt")))[:n])


def number(cell: str) -> float:
    return float(cell.replace("−", "-"))


def test_what_if_shows_consistent_figures_for_left_out_names(names, page) -> None:
    """The effect is larger than chance, and tables and sentences show the same numbers."""
    opened(page, names, first_names())
    asked(page)
    *tokens, total = cells(page, "compared-tokens")
    assert [row[0] for row in (*tokens, total)] == [*"emma", "end", "Total"]
    for i in (2, 3, 4):  # the columns "before", "after" and "change"
        assert number(total[i]) == pytest.approx(sum(number(row[i]) for row in tokens), abs=0.03)
    assert number(total[4]) == pytest.approx(number(total[3]) - number(total[2]), abs=0.011)
    taken = rf"“emma” takes {total[2]} nats \([\d.]+ bits\) with all documents, {total[3]} nats "
    assert re.match(taken, page.inner_text("#compared-text"))
    n = sum(name.startswith("emm") for name in first_names().split("\n"))
    assert page.inner_text("#compared-what").startswith(f"{n} documents begin with emm. In its 5")
    shown = re.fullmatch(FIGURES, page.inner_text("#compared-documents"))
    assert shown
    before, after, more, spread, times = map(float, shown.groups())
    assert more == pytest.approx(after - before, abs=0.011)
    assert times == pytest.approx(more / spread, rel=0.1)
    assert times > 2.78


def test_the_results_of_what_if_pass_the_accessibility_checks(names, page) -> None:
    opened(page, names, first_names(500))
    asked(page, seeds="1")
    check_accessible(page, "#what-if")


def test_a_what_if_comparison_can_be_stopped_and_run_again(names, page) -> None:
    opened(page, names, first_names(500))
    page.fill("#wish-seeds", "100")
    page.click("text=Compare")
    page.wait_for_selector("#compared-text:not(:empty)")
    assert "left" in page.inner_text("#wish-left")
    page.click("#wish-stop")
    assert page.is_hidden("#wish-progress")
    assert page.is_hidden("#wish-problem")
    asked(page, seeds="0")
    assert page.is_hidden("#wish-problem")
    assert "it is not known whether this is chance" in page.inner_text("#compared-text")


def test_what_if_shows_added_names_as_likelier_until_they_change(names, page) -> None:
    opened(page, names, first_names(500))
    page.select_option("#wish-kind", "with")
    asked(page, texts="emmma\nemmma\n" * 20, asked="emmma", seeds="1")
    assert page.inner_text("#compared-what").startswith("40 documents were added.")
    assert number(cells(page, "compared-tokens")[-1][-1]) < -3
    page.fill("#wish-texts", "emmmma")
    assert page.is_hidden("#compared")


def test_what_if_reports_an_error_and_can_be_used_again(names, page) -> None:
    page.add_init_script(WORKERS)
    opened(page, names, first_names(500))
    asked(page, start="(")
    assert "documents begins with '('" in page.inner_text("#wish-problem")
    page.fill("#wish-start", "emm")
    page.fill("#wish-seeds", "100")
    page.click("text=Compare")
    page.wait_for_selector("#compared-text:not(:empty)")
    page.evaluate("workers.at(-1).dispatchEvent(new ErrorEvent('error'))")
    page.wait_for_selector("#wish-problem >> text=The training has stopped")
    asked(page, seeds="0")  # a new worker trains, as the first one has failed
    assert page.is_hidden("#wish-problem")
    page.click("nav >> text=Train")
    pasted(page, RUNNING, "Running text")
    page.click("nav >> text=What if")
    asked(page)
    assert "This is running text" in page.inner_text("#wish-problem")
