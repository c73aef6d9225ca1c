"""Tests of the whole page in Chromium: addresses, errors, accessibility and hostile models."""

from dataclasses import replace

import pytest
from page_in_browser import (
    READ,
    bars,
    check_accessible,
    document_of,
    hold,
    opened,
    replies,
    say,
    until,
    until_held,
)

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig
from microgpt.training.train import train

pytestmark = pytest.mark.slow

TAKEN = "document.title = 'taken'"
SCRIPT = f'</script><script>{TAKEN}</script><img src=x onerror="{TAKEN}">'
HOSTILE = SCRIPT + "'&lt;\u2028\u202e\x07"


def test_enter_sends_a_form_only_if_its_fields_are_valid(talk, names, page) -> None:
    hold(page, "reply")
    opened(page, talk, "chat", temperature=50)
    say(page, "hi")
    page.wait_for_timeout(200)
    assert page.evaluate("held") == []
    hold(page, "generate")
    opened(page, names, "generate", temperature=50)
    page.fill("#prompt", "an")
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert page.evaluate("held") == []
    page.fill("#temperature", "1")
    page.click("#order summary >> text=Seed")
    page.fill("#seed", str(2**53 - 1))
    page.focus("#prompt")
    page.keyboard.press("Enter")
    sent = until_held(page)
    assert (sent["prompt"], sent["seed"]) == ("an", 2**53 - 1)


def test_a_view_keeps_its_content_while_another_view_is_shown(talk, page) -> None:
    opened(page, talk, "chat")
    say(page, "hi there")
    said = replies(page, 2)
    page.click("nav >> text=Look inside")
    page.fill("#question", "hi")
    until(page, f"{READ}.startsWith('startuser:hiend')")
    for _ in range(2):  # at the second click, the chat is already shown
        page.click("nav >> text=Chat")
        page.wait_for_selector("#chat:not([hidden])")
        assert replies(page, 2) == said
    until(page, "location.hash.includes('m=hi+there&m=')")
    say(page, "hi")
    talked = replies(page, 4)
    page.go_back()
    page.wait_for_selector("#inside:not([hidden])")
    assert page.input_value("#question") == "hi"
    page.go_forward()
    page.wait_for_selector("#chat:not([hidden])")
    assert replies(page, 4) == talked


def test_an_unknown_view_in_the_address_shows_the_first_view(names, page) -> None:
    for view in ("constructor", "__proto__", "nonsense?text=anna"):
        page.goto(f"{names.as_uri()}#/{view}")
        page.wait_for_selector("#train:not([hidden])")
        until(page, "location.hash === '#/train'")
        assert page.is_hidden("#inside")
        assert page.title() == "Train – microgpt"


def test_a_page_opens_with_generate_unless_its_text_is_letters(names, tmp_path, page) -> None:
    result = train(["soup of the day"], config=TrainConfig(steps=2))
    for file, view in ((names, "train"), (document_of(result, tmp_path / "dishes"), "generate")):
        page.goto(file.as_uri())
        page.wait_for_selector(f"#{view}:not([hidden])")


def test_the_page_escapes_the_text_of_a_hostile_model(tmp_path, page) -> None:
    result = train([HOSTILE], model=ModelConfig(block_size=128), config=TrainConfig(steps=200))
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    gpt = InferenceGpt(result)
    opened(page, document_of(result, folder), "generate", temperature=0, number=1)
    page.wait_for_selector("#samples li")
    (text,) = gpt.generate(1, temperature=0)
    assert "</script>" in text
    shown = page.inner_text("#samples .said")
    assert shown[:50] == text[:50]
    assert "\u202e" not in shown
    page.click("#samples a")
    page.wait_for_selector("#positions .token >> nth=20")
    bars(page)
    page.wait_for_selector("#maps canvas")
    assert "taken" not in page.title()
    assert page.locator("main img, main script").count() == 0
    assert folder.name in page.inner_text("#model")


def test_a_hostile_chat_model_cannot_inject_html(tmp_path, page) -> None:
    image = f'<img src=x onerror="{TAKEN}">'
    talk = (Message("user", image), Message("assistant", HOSTILE))
    result = train([talk], model=ModelConfig(block_size=256), config=TrainConfig(steps=1))
    result = replace(result, plan=replace(result.plan, examples=(image,)))
    file = document_of(result, tmp_path / "model")
    opened(page, file, "chat")
    assert page.inner_text("#examples button") == image
    opened(page, file, "chat", m=[image, HOSTILE])
    page.locator(".assistant .said").focus()
    page.wait_for_selector("#alternatives >> text=Instead of “<”:")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#alternatives >> text=Instead of “\\u0007”:")
    assert HOSTILE[:50] in page.inner_text(".assistant .said")
    assert "taken" not in page.title()
    assert page.locator("main img, main script").count() == 0


def test_every_view_but_what_if_passes_the_accessibility_checks(names, talk, subword, page) -> None:
    views = [
        (talk, "chat", {"m": ["hi there", "yo" * 100]}),
        (names, "generate", {"prompt": "a"}),
        (names, "generate", {"prompt": "w" * 200}),
        (subword, "chat", {}),
        (names, "inside", {"text": "anna", "step": "layer0.heads", "without-mlp": 0}),
        (names, "inside", {"tour": 6}),
        (names, "train", {}),
        (talk, "inside", {"m": ["hi there", "yo"], "question": "hi there", "text": "yo"}),
        (subword, "inside", {"question": "hi", "text": " there" * 30}),
    ]
    page.emulate_media(reduced_motion="reduce")
    for file, view, parameters in views:
        page.set_viewport_size({"width": 360, "height": 800})
        opened(page, file, view, **parameters)
        if view == "chat" and parameters:
            page.locator(".assistant .said").focus()
            page.wait_for_selector("#alternatives:not([hidden])")
        if view == "train":
            page.wait_for_selector("#train-end >> text=2.6497")
            page.click("#plan-fold summary")
            page.select_option("#texts-source", "file")
        if view == "inside":
            bars(page)
            page.wait_for_selector("#maps canvas")
            page.wait_for_selector("#number-value:not(:empty)", state="attached")
        check_accessible(page)
