"""Tests of the page of a service: links to its models, and the form that asks for the key."""

import shutil

import pytest
from page_in_browser import check_accessible, replies, say

pytest.importorskip("microgpt_page")
pytestmark = pytest.mark.slow

MODEL_DATA = '<script type="text/plain" id="model-data">'


def test_a_page_links_to_other_models_but_a_saved_copy_does_not(
    shared, names_dir, talk_dir, talk_gpt, page, tmp_path
) -> None:
    for name, model in (("n", names_dir), ("talk & co", talk_dir)):
        shutil.copytree(model, tmp_path / name)
    server = shared(tmp_path)
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.wait_for_selector("#train-samples li")
    assert "the trained model “n” is in Look inside" in page.inner_text("#model")
    page.click("#others >> text=talk & co")
    page.wait_for_selector("#chat:not([hidden])")
    assert page.inner_text("#model").startswith("The trained model “talk & co”: ")
    assert page.locator("#others a").all_inner_texts() == ["n"]
    page.click("#say summary")
    page.fill("#chat-seed", "3")
    say(page, "hi there")
    assert replies(page, 2)[1] == talk_gpt.chat("hi there", seed=3).content
    with page.expect_download() as saved:
        page.click("#save-this")
    assert saved.value.suggested_filename == "talk & co.html"
    copy = saved.value.path().read_text("utf-8")
    assert MODEL_DATA in copy
    assert "?model=" not in copy  # such links need the service
    page.go_back()
    page.wait_for_selector("#train-samples li")


def test_a_page_keeps_the_key_reports_faults_and_works_offline(
    serve, names_dir, page, complaints
) -> None:
    server = serve(names_dir, MICROGPT_API_KEY="secret")
    url = f"http://127.0.0.1:{server.port}/"
    other = page.context.new_page()  # a second tab, without the key
    other.goto(url)
    page.goto(f"{url}?model=x#/train")
    page.fill("#key", "schlüssel")  # a header cannot contain this key
    page.keyboard.press("Enter")
    assert page.evaluate("document.getElementById('key').validity.patternMismatch")
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said >> text=refused the key")
    check_accessible(page)
    page.fill("#key", "secret")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said >> text=odel 'x' does not exist; use names")
    page.goto(f"{url}#/train")  # the page has stored the right key
    page.wait_for_selector("#train:not([hidden])")
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 1]
    page.wait_for_selector("#train-samples li")
    page.reload()
    page.wait_for_selector("#train:not([hidden])")
    server.stop()
    page.click("nav >> text=Generate")  # the page no longer needs the service
    page.wait_for_selector("#samples li >> nth=9")
    other.fill("#key", "secret")
    other.keyboard.press("Enter")
    other.wait_for_selector("#said >> text=does not answer")
    assert all("Failed to load resource" in each for each in complaints)  # due to a 401 and a 404
    complaints.clear()
