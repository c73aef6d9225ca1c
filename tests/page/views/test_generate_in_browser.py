"""Tests of the view "Generate" in Chromium."""

import pytest
from page_in_browser import opened, until

pytestmark = pytest.mark.slow


def test_generated_texts_begin_with_a_chosen_beginning(names, page) -> None:
    opened(page, names, "generate")
    page.wait_for_selector("#samples li >> nth=9")
    beginning = page.inner_text("#beginnings button >> nth=0")
    page.click("#beginnings button >> nth=0")
    until(page, f"location.hash.includes('prompt={beginning}&')")
    page.wait_for_selector("#samples li >> nth=9")
    texts = page.locator("#samples .said").all_inner_texts()
    assert all(text.startswith(beginning) for text in texts)


def test_generated_texts_equal_the_librarys_wherever_shown(names, names_gpt, page) -> None:
    opened(page, names, "generate")
    fields = {"prompt": "a", "number": "12", "temperature": "0.7", "top-k": "5"}
    for name, value in fields.items():
        page.fill(f"#{name}", value)
    page.click("#order summary >> text=Seed")
    page.fill("#seed", "42")
    page.keyboard.press("Enter")
    found = names_gpt.generate(12, prompt="a", temperature=0.7, top_k=5, seed=42)
    page.wait_for_selector("#samples li >> nth=11")
    assert page.locator("#samples .said").all_inner_texts() == found
    until(page, "location.hash.endsWith('seed=42')")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector("#samples li")
    assert page.locator("#samples .said").all_inner_texts() == found
    page.click("#samples li:first-child a")
    page.wait_for_selector("#explained:not([hidden])")
    assert page.input_value("#text") == found[0]
