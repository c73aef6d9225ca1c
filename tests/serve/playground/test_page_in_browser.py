"""The playground as a whole, in Chromium: its address, its errors, hostile models."""

import re
import signal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from json_files import edit
from playground_page import HERE, READ, bars, held, opened, replies, until, until_held

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig, save
from microgpt.training.train import train

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.slow

TAKEN = "document.title = 'taken'"
SCRIPT = f'</script><script>{TAKEN}</script><img src=x onerror="{TAKEN}">'
HOSTILE = SCRIPT + "'&lt;\u2028\u202e\x07"
LIMIT = """
    const replace = history.replaceState.bind(history);
    window.allowed = 0;
    window.calls = [];
    history.replaceState = (...all) => {
        calls.push(performance.now());
        if (allowed-- <= 0) throw new DOMException("called too often", "SecurityError");
        replace(...all);
    };
"""
LEAST_MS = 30_000 / 100  # between two changes of the address
TYPE = """text => [...text].forEach((_, i) => {
    document.getElementById("text").value = text.slice(0, i + 1);
    document.getElementById("text").dispatchEvent(new InputEvent("input", {bubbles: true}));
})"""


def test_enter_sends_a_form_only_if_its_fields_are_valid(talk, names, page) -> None:
    requests = held(page, re.compile("v1/(chat|generate)"))
    opened(page, talk, "chat", temperature=50)
    page.fill("#message", "hi")
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    opened(page, names, "generate", temperature=50)
    page.fill("#prompt", "an")
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert requests == []
    page.fill("#temperature", "1")
    page.click("#order summary >> text=Seed")
    page.fill("#seed", str(2**53 - 1))
    page.focus("#prompt")
    page.keyboard.press("Enter")
    sent = until_held(page, requests).request.post_data_json
    assert (sent["prompt"], sent["seed"]) == ("an", 2**53 - 1)


def test_each_view_says_that_the_service_has_another_model(serve, tmp_path, page) -> None:
    talk = (Message("user", "hi"), Message("assistant", "yo"))
    for n_head in (2, 4):  # the first two heads can still be asked for
        shape = ModelConfig(n_head=n_head)
        save(train([talk], model=shape, config=TrainConfig(steps=1)), tmp_path / "model")
        if n_head == 2:
            server = serve(tmp_path / "model")
            opened(page, server, "inside", question="hi")
            page.wait_for_selector("#maps canvas")
            assert page.is_hidden("#trouble")
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded: model")
    page.fill("#text", "y")
    page.wait_for_selector("#trouble >> text=another model now")
    opened(page, server, "chat")
    assert page.is_hidden("#trouble")
    page.fill("#message", "hi")
    page.click("#send")
    page.wait_for_selector("#trouble >> text=another model now")


def test_the_page_works_if_the_browser_limits_history_changes(names, page) -> None:
    """WebKit allows 100 in 30 seconds; here, 0 at first."""
    page.add_init_script(LIMIT)
    opened(page, names, "inside", text="a")
    page.wait_for_selector("#explained:not([hidden])")
    page.evaluate(TYPE, "anna")
    until(page, "document.querySelectorAll('#positions .token').length === 5")
    assert page.url.endswith("?text=a")
    page.evaluate("window.allowed = 100")
    until(page, "location.hash.endsWith('?text=anna&unfinished=1')")
    page.evaluate(TYPE, "an" * 100)
    until(page, f"location.hash.endsWith('?text={'an' * 100}&unfinished=1')")
    until(page, "document.getElementById('cut').innerText.includes('201 tokens')")
    assert min(b - a for a, b in pairwise(page.evaluate("window.calls"))) >= LEAST_MS


def test_a_view_keeps_its_content_while_another_is_shown(talk, talk_gpt, page) -> None:
    opened(page, talk, "chat")
    page.fill("#message", "hi there")
    page.keyboard.press("Enter")
    said = replies(page, 2)
    page.click("nav >> text=Look inside")
    page.fill("#question", "hi")
    until(page, f"{READ}.startsWith('startuser:hiend')")
    for _ in range(2):  # the second time it is the view that is shown
        page.click("nav >> text=Chat")
        page.wait_for_selector("#chat:not([hidden])")
        assert replies(page, 2) == said
    until(page, "location.hash.includes('m=hi+there&m=')")
    page.fill("#message", "hi")
    page.keyboard.press("Enter")
    talked = replies(page, 4)
    page.go_back()
    page.wait_for_selector("#inside:not([hidden])")
    assert page.input_value("#question") == "hi"
    page.go_forward()
    page.wait_for_selector("#chat:not([hidden])")
    assert replies(page, 4) == talked
    opened(page, talk, "chat", m=["hi", "yo"])  # another conversation, in the address
    assert replies(page, 2) == ["hi", "yo"]


@pytest.mark.parametrize("view", ["constructor", "__proto__", "nonsense?text=anna"])
def test_an_unknown_view_in_the_address_shows_the_first_view(names, page, view) -> None:
    page.goto(f"{HERE}{names.port}/#/{view}")
    page.wait_for_selector("#generate:not([hidden])")
    until(page, "location.hash === '#/generate'")
    assert page.is_hidden("#inside")
    assert page.title() == "Generate – microgpt"


def test_the_playground_folds_capitals_if_the_model_does(talk, names, page) -> None:
    opened(page, talk, "inside", question="Hi THERE", text="Yo")
    page.wait_for_selector("#positions .token >> nth=13")
    assert "hi␣there" in "".join(page.locator("#positions .token").all_inner_texts())
    opened(page, names, "generate", prompt="Anna")  # a model that does not fold
    page.wait_for_selector("#trouble:not([hidden])")
    assert page.inner_text("#trouble").endswith("Try “anna”.")


def test_the_page_explains_key_rate_and_connection_errors(
    serve, names_dir, page, complaints
) -> None:
    server = serve(names_dir, MICROGPT_API_KEY="secret", MICROGPT_RATE_LIMIT="9/minute")
    page.goto(f"{HERE}{server.port}/#/generate")
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key", "schlüssel")  # no header can contain it
    page.keyboard.press("Enter")
    for key, why in (("wrong", "Ask whoever runs the service"), ("secret", "refused the key")):
        page.wait_for_selector("#key-dialog[open]")
        until(page, f"document.getElementById('key-why').innerText.includes('{why}')")
        page.fill("#key", key)
        page.keyboard.press("Enter")
    page.wait_for_selector("#generate:not([hidden])")
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 1]
    for _ in range(12):
        page.click("#make")
        until(page, "document.getElementById('summary').innerText !== 'Generating …'")
    told = page.inner_text("#trouble")
    assert re.fullmatch(r"Too many requests; the limit is .*\. Try again in \d+ s\.", told)
    server.stop()
    page.click("#make")
    until(page, "document.getElementById('trouble').innerText.includes('not answer')")
    complaints.clear()


def test_the_playground_escapes_the_text_of_a_hostile_model(serve, tmp_path, page) -> None:
    result = train([HOSTILE], model=ModelConfig(block_size=128), config=TrainConfig(steps=200))
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    save(result, folder)
    gpt = InferenceGpt(result)
    server = serve(folder)
    opened(page, server, "generate", temperature=0, number=1)
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


def test_a_hostile_chat_model_cannot_inject_html(serve, tmp_path, page) -> None:
    image = f'<img src=x onerror="{TAKEN}">'
    talk = (Message("user", image), Message("assistant", HOSTILE))
    shape = ModelConfig(block_size=256)
    save(train([talk], model=shape, config=TrainConfig(steps=1)), tmp_path / "model")
    edit(tmp_path / "model/meta.json", examples=[image])
    server = serve(tmp_path / "model")
    opened(page, server, "chat")
    assert page.inner_text("#examples button") == image
    opened(page, server, "chat", m=[image, HOSTILE])
    page.locator(".assistant .said").focus()
    page.wait_for_selector("#alternatives >> text=Instead of “<”:")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#alternatives >> text=Instead of “\\u0007”:")
    assert HOSTILE[:50] in page.inner_text(".assistant .said")
    assert "taken" not in page.title()
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_every_view_is_accessible(names, talk, subword, page, scheme, width) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    views = [
        (talk, "chat", {"m": ["hi there", "yo" * 100]}),
        (names, "generate", {"prompt": "a"}),
        (names, "generate", {"prompt": "w" * 200}),
        (subword, "chat", {}),
        (names, "inside", {"text": "anna", "step": "layer0.attention", "without-mlp": 0}),
        (names, "inside", {"text": "anna", "step": "layer0.query", "backward": 1}),
        (talk, "inside", {"m": ["hi there", "yo"], "question": "hi there", "text": "yo"}),
        (subword, "inside", {"question": "hi", "text": " there" * 30}),
    ]
    for server, view, parameters in views:
        opened(page, server, view, **parameters)
        if view == "chat" and parameters:
            page.locator(".assistant .said").focus()
            page.wait_for_selector("#alternatives:not([hidden])")
        if view == "inside":
            bars(page)
            page.wait_for_selector("#maps canvas")
            page.wait_for_selector("#numbers span")
        found = Axe().run(page).response["violations"]
        serious = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], (view, found)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
