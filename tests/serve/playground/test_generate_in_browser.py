"""The view "Generate" of the playground, in Chromium."""

from typing import TYPE_CHECKING

import pytest
from playground_page import HERE, opened, until

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.slow


def test_the_first_screen_of_a_text_model_has_generated_texts(names, page) -> None:
    page.goto(f"{HERE}{names.port}/")
    page.wait_for_selector("#samples li >> nth=9")
    seeds = [page.inner_text("#seed-used")]
    page.click("#make")
    until(page, f"document.getElementById('seed-used').textContent !== '{seeds[0]}'")
    page.wait_for_selector("#samples li >> nth=9")
    beginning = page.inner_text("#beginnings button >> nth=0")
    page.click("#beginnings button >> nth=0")
    until(page, f"location.hash.includes('prompt={beginning}&')")
    page.wait_for_selector("#samples li >> nth=9")
    texts = page.locator("#samples .said").all_inner_texts()
    assert all(text.startswith(beginning) for text in texts)


def test_generated_texts_equal_the_library_and_copies_are_marked(names, names_gpt, page) -> None:
    opened(page, names, "generate")
    page.fill("#prompt", "a")
    page.fill("#number", "12")
    page.fill("#temperature", "0.7")
    page.fill("#top-k", "5")
    page.click("#order summary >> text=Seed")
    page.fill("#seed", "42")
    page.keyboard.press("Enter")
    body = {"prompt": "a", "num_samples": 12, "temperature": 0.7, "top_k": 5, "known": True}
    found = names.request("POST", "/microgpt/v1/generate", body).json
    page.wait_for_selector("#samples li >> nth=11")
    assert page.locator("#samples .said").all_inner_texts() == found["samples"]
    marked = page.locator("#samples li:has(.mark) .said").all_inner_texts()
    docs = ["anna", "emma", "ava", "mia", "olivia", "sofia", "liam", "noah"]
    assert marked == [sample for sample in found["samples"] if sample in docs]
    assert 0 < len(marked) < 12
    assert page.inner_text("#summary").startswith(f"{len(marked)} of 12 ")
    until(page, "location.hash.endsWith('seed=42')")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector("#samples li")
    assert page.locator("#samples .said").all_inner_texts() == found["samples"]
    page.click("#samples li:first-child a")
    page.wait_for_selector("#explained:not([hidden])")
    assert page.input_value("#text") == found["samples"][0]


def test_an_invalid_seed_in_the_address_is_not_used(names, page) -> None:
    opened(page, names, "generate", seed="abc")
    page.wait_for_selector("#samples li")
    assert page.inner_text("#seed-used").isdigit()
    page.goto("about:blank")
    opened(page, names, "generate", seed=2**53 + 1)
    assert page.evaluate("document.getElementById('seed').validity.rangeOverflow")
    assert page.locator("#samples li").count() == 0


def test_texts_that_meet_conditions_are_drawn_from_an_address(names, page) -> None:
    wanted = {"pattern": ".*i.*", "ends-with": "a", "min-length": 3, "max-length": 6}
    opened(page, names, "generate", number=20, temperature=1.5, seed=4, **wanted)
    body = {"matches": ".*i.*", "ends": "a", "min_length": 3, "max_length": 6}
    body |= {"num_samples": 20, "temperature": 1.5, "seed": 4}
    page.wait_for_selector("#samples li >> nth=19")
    found = names.request("POST", "/microgpt/v1/generate", body).json["samples"]
    assert page.locator("#samples .said").all_inner_texts() == found
