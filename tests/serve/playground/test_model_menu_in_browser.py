"""The menu of models in the playground, in Chromium."""

import json

import pytest
from playground_page import HERE, READ, opened, replies, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def several(shared, names_dir, talk_dir):
    return shared(MODEL_DIR=f"n={names_dir},talk & co={talk_dir}")


def test_the_menu_lists_the_models_and_the_address_names_one(several, page) -> None:
    page.goto(f"{HERE}{several.port}/")
    page.wait_for_selector("#samples li >> nth=9")
    assert page.locator("#model-menu option").all_inner_texts() == ["n", "talk & co"]
    assert page.inner_text("#model").startswith("n: a text model")
    until(page, "location.search === '?model=n' && location.hash.includes('seed=')")
    page.select_option("#model-menu", "talk & co")
    page.wait_for_selector("#chat:not([hidden])")
    assert page.inner_text("#model").startswith("talk & co: a chat model")
    assert "?model=talk+%26+co#/chat" in page.url
    page.go_back()
    page.wait_for_selector("#samples li")
    assert page.input_value("#model-menu") == "n"


def test_every_view_asks_the_model_of_the_menu(several, talk_gpt, page) -> None:
    sent = []
    page.on("request", lambda one: "/v1/" in one.url and sent.append(one))
    page.goto(f"{HERE}{several.port}/?model=talk+%26+co#/chat?seed=3")
    page.fill("#message", "hi there")
    page.keyboard.press("Enter")
    (_, reply) = replies(page, 2)
    assert reply == talk_gpt.chat("hi there", seed=3).content
    page.click("nav >> text=Look inside")
    until(page, f"{READ}.startsWith('startuser:hi')")
    page.click("nav >> text=Train")
    page.wait_for_selector("#train:not([hidden])")
    assert page.input_value("#model-menu") == "talk & co"
    bodies = [json.loads(one.post_data) for one in sent if one.method == "POST"]
    assert {body["model"] for body in bodies} == {"talk & co"}
    assert len(bodies) >= 2
    assert page.get_attribute("#as-file a", "href") == "microgpt/v1/model.html?model=talk+%26+co"


def test_a_wrong_model_in_the_address_can_be_corrected(several, page, complaints) -> None:
    page.goto(f"{HERE}{several.port}/?model=x#/generate?prompt=a&seed=1")
    page.wait_for_selector("#trouble >> text=Model 'x' does not exist; use n or talk & co.")
    complaints.clear()
    page.select_option("#model-menu", "n")
    page.wait_for_selector("#samples li")
    assert page.input_value("#prompt") == "a"


def test_a_single_model_has_no_menu(names, page) -> None:
    opened(page, names, "generate")
    page.wait_for_selector("#samples li")
    assert page.is_hidden("#models")
    assert "?" not in page.url.split("#")[0]
