"""Tests of the view "Chat" in Chromium."""

import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_in_browser import document_of, hold, opened, replies, say, until, until_held

from microgpt import Message, ModelConfig, TrainConfig
from microgpt.surprise import explain
from microgpt.training.train import train

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

GROWN = "document.querySelector('#turns li:last-child .said').innerText.length > {}"


@pytest.fixture(scope="module")
def slow_talk(tmp_path_factory) -> Path:
    """The document of a chat model whose replies take many seconds and never end by themselves."""
    talk = (Message("user", "ab" * 9), Message("assistant", "ab" * 40))
    shape = ModelConfig(n_embd=128, n_layer=6, block_size=8192, init_std=0.02)
    result = train([talk], model=shape, config=TrainConfig(steps=1, lr=0.01))
    return document_of(result, tmp_path_factory.mktemp("documents") / "slow")


def check_idle(page: "Page") -> None:
    """Check that the engine, which handles one request at a time, answers a new request."""
    page.click("nav >> text=Look inside")
    page.fill("#text", "")
    page.fill("#question", "ab")
    page.wait_for_selector("#positions .token >> nth=4", timeout=2000)


def test_the_mean_and_shades_of_a_reply_show_its_probabilities(talk, talk_gpt, page) -> None:
    opened(page, talk, "chat", m=["hi there", "yo man"])
    talked = [Message("user", "hi there"), Message("assistant", "yo man")]
    own = explain(talk_gpt, talked).predictions[-7:]  # + the end-of-turn token
    mean = math.exp(statistics.fmean(math.log(each.probability) for each in own))
    page.wait_for_selector(f".assistant .role >> text=· {100 * mean:.0f} %")
    shades = "all => all.map(one => Number(one.style.getPropertyValue('--doubt')))"
    doubts = page.locator(".assistant .said > span").evaluate_all(shades)
    assert doubts == pytest.approx([1 - each.probability for each in own], abs=1e-4)


def test_a_reply_equals_pythons_also_after_an_edit_or_in_a_link(talk, talk_gpt, page) -> None:
    opened(page, talk, "chat", seed=42)
    say(page, "hi there")
    expected = talk_gpt.chat([Message("user", "hi there")]).content
    assert replies(page, 2) == ["hi there", expected]
    page.click("#say summary")
    page.fill("#chat-seed", "7")
    page.click("text=Edit")
    assert page.input_value("#message") == "hi there"
    say(page, "there hi")
    expected = talk_gpt.chat([Message("user", "there hi")], seed=7).content
    assert replies(page, 2) == ["there hi", expected]
    until(page, "/m=there\\+hi&m=.*seed=7$/.test(location.hash)")
    link = page.url
    page.evaluate("sessionStorage.clear()")  # as in a new tab
    page.goto("about:blank")
    page.goto(link)
    assert replies(page, 2) == ["there hi", expected]
    assert page.input_value("#chat-seed") == "7"


def test_the_note_on_dropped_tokens_survives_a_reload(talk, page) -> None:
    opened(page, talk, "chat", m=["there hi", "yo"])
    say(page, "hi? " + "hi " * 9)
    for reload in (lambda: None, page.reload):
        reload()
        assert len(replies(page, 4)) == 4
        assert "has not read its first" in page.inner_text("#dropped")
    assert "do" not in page.inner_text("#trouble")


def test_a_reply_can_be_regenerated_from_a_likely_alternative(talk, talk_gpt, page) -> None:
    opened(page, talk, "chat", m=["hi there", "yo man"])
    talked = [Message("user", "hi there"), Message("assistant", "yo man")]
    now = explain(talk_gpt, talked, n_alternatives=6).predictions[-6]  # predicts the token o
    labels = {"<|end_turn|>": "end of turn", " ": "␣"}
    likeliest = [each for each in now.alternatives if each.text not in ("<|bos|>", "<|user|>")]
    page.locator(".assistant .said").focus()
    page.wait_for_selector("#alternatives >> text=Instead of “y”:")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#alternatives >> text=Instead of “o”:")
    shown = page.locator("#alternatives .token").all_inner_texts()
    assert shown == [
        labels.get(each.text, each.text) for each in likeliest if "<|assi" not in each.text
    ]
    share = page.inner_text("#alternatives button >> nth=0").removeprefix(shown[0]).strip()
    assert float(share.rstrip(" %")) == pytest.approx(100 * likeliest[0].probability, abs=0.5)
    page.keyboard.press("Escape")
    assert page.is_hidden("#alternatives")
    page.hover(".assistant .said > span >> nth=1")
    chosen = next(i for i, text in enumerate(shown) if text in "yman")
    page.click(f"#alternatives button >> nth={chosen}")
    until(page, "document.querySelector('.assistant .said').textContent !== 'yo man'")
    assert replies(page, 2)[1].startswith("y" + shown[chosen])


def test_a_reload_keeps_edits_new_replies_and_new_conversations(talk, page) -> None:
    opened(page, talk, "chat", m=["hi there", "yo man"], temperature=3, seed=1)
    say(page, "hi")
    replies(page, 4)
    page.click(".user >> nth=0 >> text=Edit")
    page.click("#edit-end")
    assert page.input_value("#message") == ""
    page.click(".user >> nth=0 >> text=Edit")
    say(page, "man")
    first = replies(page, 2)
    assert first[0] == "man"
    page.click("#say summary")
    page.fill("#chat-seed", "2")
    page.click(".assistant >> text=Regenerate")
    page.wait_for_function(
        "one => document.querySelector('.assistant .said').innerText !== one", arg=first[1]
    )
    second = replies(page, 2)
    page.fill("#chat-seed", "3")  # a reply drawn after the reload would differ
    page.reload()
    assert replies(page, 2) == second
    page.click("text=New conversation")
    page.reload()
    assert replies(page, 0) == []


def test_escape_or_another_chat_ends_a_reply_unlike_another_view(slow_talk, page) -> None:
    opened(page, slow_talk, "chat")
    say(page, "abba")
    until(page, GROWN.format(3))
    page.click("nav >> text=Train")  # meanwhile, the reply continues
    page.click("nav >> text=Chat")
    page.wait_for_selector("#turns [aria-busy=true]")
    page.keyboard.press("Escape")
    _, partial = replies(page, 2)
    assert 3 < len(partial) < 8000
    say(page, "abba")
    until(page, GROWN.format(3))
    opened(page, slow_talk, "chat", m=["ab", "ba"])
    assert page.is_visible("#send")
    assert replies(page, 2) == ["ab", "ba"]
    until(page, "location.hash.startsWith('#/chat?m=ab&m=ba&t')")
    check_idle(page)


def test_a_message_without_a_reply_can_be_sent_again(talk, page) -> None:
    hold(page, "reply")
    opened(page, talk, "chat", m=["hi there", "yo", "hi"])
    assert replies(page, 2) == ["hi there", "yo"]
    assert page.input_value("#message") == "hi"
    page.keyboard.press("Enter")
    page.keyboard.type("typed since")
    until_held(page)
    page.evaluate("held.shift().refuse('no memory')")
    page.wait_for_selector("#trouble >> text=No memory.")
    assert replies(page, 2) == ["hi there", "yo"]
    assert page.input_value("#message") == "hi\ntyped since"
    page.keyboard.press("Enter")
    until_held(page)
    page.evaluate("held.shift().send()")
    assert replies(page, 4)[2] == "hi\ntyped since"
    until(page, "new URLSearchParams(location.hash).getAll('m').length === 3")


def test_a_chat_in_a_frame_does_not_scroll_the_page_around_it(talk, page, tmp_path) -> None:
    frame = f'<iframe src="{talk.as_uri()}#/chat" sandbox="allow-scripts"></iframe>'
    (tmp_path / "outer.html").write_text(f'<div style="height: 3000px"></div>{frame}')
    page.goto((tmp_path / "outer.html").as_uri())
    page.frames[1].wait_for_selector("#message:focus")
    assert page.evaluate("scrollY") == 0
