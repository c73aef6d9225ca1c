import math
import re
import signal
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig, save
from microgpt.evaluation.edits import Edits, WeightEdit
from microgpt.evaluation.explanation import explain
from microgpt.training.train import train

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.slow

HERE = "http://127.0.0.1:"
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
STOPPED = 'microgpt_requests_total{route="/v1/chat/completions",status="499"}'
LEAST_MS = 30_000 / 100  # between two changes of the address
READ = "document.getElementById('positions').textContent.replaceAll('␣', ' ')"
TYPE = """text => [...text].forEach((_, i) => {
    document.getElementById("text").value = text.slice(0, i + 1);
    document.getElementById("text").dispatchEvent(new InputEvent("input", {bubbles: true}));
})"""


@pytest.fixture(scope="module")
def slow_talk(shared, tmp_path_factory):
    """A chat model whose replies take many seconds and never end by themselves."""
    talk = (Message("user", "ab" * 9), Message("assistant", "ab" * 40))
    shape = ModelConfig(n_embd=256, n_layer=6, block_size=2048, init_std=0.02)
    folder = tmp_path_factory.mktemp("models") / "slow"
    save(train([talk], model=shape, config=TrainConfig(steps=1, lr=0.01)), folder)
    return shared(folder, MICROGPT_TIMEOUT_S="600")


def opened(page: "Page", server, view: str, **parameters: Any) -> None:
    """Open a view of the playground of a server."""
    page.goto(f"{HERE}{server.port}/#/{view}?{urlencode(parameters, doseq=True)}")
    page.wait_for_selector(f"#{view}:not([hidden])")


def until(page: "Page", script: str) -> None:
    """Wait until a script gives true. The page's policy forbids Playwright's own way."""
    for _ in range(3000):
        if page.evaluate(script):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never: {script}")


def held(page: "Page", pattern: str | re.Pattern[str]) -> list["Route"]:
    """Hold requests back; return the list to which each is appended."""
    routes: list[Route] = []
    page.route(pattern, lambda route: routes.append(route))
    return routes


def until_held(page: "Page", routes: list["Route"]) -> "Route":
    """Return the first request that is held back."""
    for _ in range(3000):
        if routes:
            return routes[0]
        page.wait_for_timeout(20)
    raise AssertionError("no request")


def bars(page: "Page") -> dict[str, float]:
    """Return the probabilities that are shown."""
    page.wait_for_selector("#draw:not([disabled])")
    script = """rows => rows.map(row => [row.querySelector("th").innerText,
        Number(row.querySelector(".bar").style.getPropertyValue("--p"))])"""
    return dict(page.locator("#bars tbody tr").evaluate_all(script))


def replies(page: "Page", n: int) -> list[str]:
    """Return what has been said, once there are n messages and none is being written."""
    until(page, f"document.querySelectorAll('#turns .tools').length === {n}")
    return page.locator("#turns .said").all_inner_texts()


def test_a_reply_can_be_streamed_edited_copied_and_linked(talk, talk_gpt, page) -> None:
    opened(page, talk, "chat", seed=42)
    page.fill("#message", "hi there")
    page.keyboard.press("Enter")
    expected = talk_gpt.chat([Message("user", "hi there")]).content
    assert replies(page, 2) == ["hi there", expected]
    page.click("#say summary")
    page.fill("#chat-seed", "7")
    page.click("text=Edit")
    assert page.input_value("#message") == "hi there"
    page.fill("#message", "there hi")
    page.click("#send")
    expected = talk_gpt.chat([Message("user", "there hi")], seed=7).content
    assert replies(page, 2) == ["there hi", expected]
    page.click(".assistant >> text=Copy")
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == expected
    until(page, "/m=there\\+hi&m=.*seed=7$/.test(location.hash)")
    link = page.url
    page.fill("#message", "hi? " + "hi " * 9)
    page.click("#send")
    assert len(replies(page, 4)) == 4
    assert "has not read its first" in page.inner_text("#dropped")
    assert "do" not in page.inner_text("#trouble")
    page.evaluate("sessionStorage.clear()")  # as in another tab
    page.goto("about:blank")
    page.goto(link)
    assert replies(page, 2) == ["there hi", expected]
    assert page.input_value("#chat-seed") == "7"
    page.click("text=New conversation")
    assert replies(page, 0) == []


def test_the_first_screen_of_a_chat_offers_examples(talk, page) -> None:
    opened(page, talk, "chat")
    assert page.locator("#examples button").all_inner_texts() == ["hi there"]
    assert page.locator("nav a").all_inner_texts() == ["Chat", "Look inside", "Train"]
    page.click("#examples button")
    assert replies(page, 2)[0] == "hi there"
    assert page.is_hidden("#first")
    page.click("text=New conversation")
    assert page.is_visible("#first")


def test_the_first_screen_of_a_text_model_has_its_texts(names, page) -> None:
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


def test_a_reply_can_be_continued_with_another_token(talk, talk_gpt, page) -> None:
    opened(page, talk, "chat", m=["hi there", "yo man"])
    talked = [Message("user", "hi there"), Message("assistant", "yo man")]
    now = explain(talk_gpt, talked, n_alternatives=6).predictions[-6]  # of the o
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
    page.wait_for_selector("text=2 of 2")
    assert replies(page, 2)[1].startswith("y" + shown[chosen])
    page.click("[aria-label='Version before']")
    assert replies(page, 2) == ["hi there", "yo man"]
    assert page.evaluate("document.activeElement.ariaLabel") == "Version before"


def test_versions_of_a_chat_survive_a_reload(talk, page) -> None:
    opened(page, talk, "chat", m=["hi there", "yo man"])
    page.fill("#message", "hi")
    page.keyboard.press("Enter")
    first = replies(page, 4)
    page.click(".user >> nth=0 >> text=Edit")
    page.click("#edit-end")
    assert page.input_value("#message") == ""
    page.click(".user >> nth=0 >> text=Edit")
    page.fill("#message", "man")
    page.keyboard.press("Enter")
    second = replies(page, 2)
    assert second[0] == "man"
    page.click(".assistant >> text=Regenerate")
    page.wait_for_selector(".assistant >> text=2 of 2")
    third = replies(page, 2)
    page.reload()
    assert replies(page, 2) == third
    page.click(".assistant >> [aria-label='Version after']")  # after the last comes the first
    assert replies(page, 2) == second
    page.click("nav >> text=Train")
    page.click("nav >> text=Chat")
    page.click(".user >> [aria-label='Version before']")
    assert replies(page, 4) == first
    page.click("text=New conversation")
    page.reload()
    assert replies(page, 0) == []


def test_a_telephone_has_one_composer_at_the_bottom(talk, page) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    opened(page, talk, "chat", m=["hi there", "yo man"] * 20)
    bottom, height = page.evaluate("""() => {
        const { bottom, height } = document.getElementById("say").getBoundingClientRect();
        return [bottom, height];
    }""")
    assert 600 < bottom <= 640
    assert height < 640 / 6
    assert page.locator("footer").is_hidden()


def test_stop_cancels_the_generation_in_the_service(slow_talk, page) -> None:
    server = slow_talk
    opened(page, server, "chat")
    page.fill("#message", "abba")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#turns .assistant .said').innerText.length > 3")
    page.click("nav >> text=Train")  # the reply goes on meanwhile
    page.click("nav >> text=Chat")
    page.wait_for_selector("#turns [aria-busy=true]")
    page.keyboard.press("Escape")
    _, partial = replies(page, 2)
    assert 3 < len(partial) < 2000
    server.until_idle()
    server.wait_for(r"POST /v1/chat/completions 499")


def test_the_page_follows_a_reply_unless_the_reader_looks_back(slow_talk, page) -> None:
    page.set_viewport_size({"width": 360, "height": 500})
    n_stopped = slow_talk.metric(STOPPED)
    opened(page, slow_talk, "chat", m=["ab", "ab " * 150])
    page.fill("#message", "abba")
    page.click("#send")  # hides the button, so that nothing has the focus
    grown = "document.querySelector('#turns li:last-child .said').innerText.length > {}"
    until(page, grown.format(200))
    bottom = "document.documentElement.scrollHeight - innerHeight - scrollY"
    assert page.evaluate(bottom) < 40
    page.evaluate("scrollTo(0, 0)")
    until(page, grown.format(300))
    assert page.evaluate("scrollY") == 0
    page.keyboard.press("Escape")
    assert len(replies(page, 4)[3]) > 300
    assert page.evaluate("scrollY") == 0
    slow_talk.until_metric(STOPPED, n_stopped + 1)


def test_opening_another_conversation_stops_the_reply(slow_talk, page) -> None:
    n_stopped = slow_talk.metric(STOPPED)
    opened(page, slow_talk, "chat")
    page.fill("#message", "abba")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#turns .assistant .said').innerText.length > 3")
    opened(page, slow_talk, "chat", m=["ab", "ba"])
    slow_talk.until_metric(STOPPED, n_stopped + 1)
    assert page.is_visible("#send")
    assert replies(page, 2) == ["ab", "ba"]
    until(page, "location.hash.startsWith('#/chat?m=ab&m=ba&t')")


def test_a_message_without_a_reply_can_be_sent_again(talk, page, complaints) -> None:
    opened(page, talk, "chat", m=["hi there", "yo", "hi"])
    assert replies(page, 2) == ["hi there", "yo"]
    assert page.input_value("#message") == "hi"
    requests = held(page, "**/v1/chat/completions")
    page.keyboard.press("Enter")
    page.keyboard.type("typed since")
    until_held(page, requests).fulfill(status=503, body="{}")
    page.wait_for_selector("#trouble:not([hidden])")
    assert replies(page, 2) == ["hi there", "yo"]
    assert page.input_value("#message") == "hi\ntyped since"
    page.unroute_all()
    page.keyboard.press("Enter")
    assert replies(page, 4)[2] == "hi\ntyped since"
    until(page, "new URLSearchParams(location.hash).getAll('m').length === 3")  # and #/chat?m
    complaints.clear()  # of the status 503


def test_going_back_keeps_the_newest_exchange_of_a_chat(talk, page) -> None:
    opened(page, talk, "chat", m=["hi", "yo"], seed=7)
    before = page.evaluate("history.length")
    page.click("nav >> text=Chat")
    page.click("nav >> text=Train")
    page.click("nav >> text=Chat")
    page.fill("#message", "hi there")
    page.keyboard.press("Enter")
    talked = replies(page, 4)
    assert page.evaluate("history.length") == before + 2
    until(page, "location.hash.includes('hi+there&m=')")
    page.go_back()
    page.wait_for_selector("#train:not([hidden])")
    page.go_back()
    page.wait_for_selector("#chat:not([hidden])")
    assert replies(page, 4) == talked
    page.click("nav >> text=Train")
    page.click("nav >> text=Chat")
    assert replies(page, 4) == talked


def test_a_chat_without_a_seed_is_random(talk, page) -> None:
    opened(page, talk, "chat")
    assert page.get_attribute("#chat-seed", "placeholder") == "random"
    requests = held(page, "**/v1/chat/completions")
    page.fill("#message", "hi")
    page.keyboard.press("Enter")
    request = until_held(page, requests)
    assert "seed" not in request.request.post_data_json
    request.continue_()
    said = replies(page, 2)
    until(page, "/m=hi&m=[^&]*&temperature=0.5$/.test(location.hash)")
    page.reload()
    assert replies(page, 2) == said
    assert page.input_value("#chat-seed") == ""


def test_enter_respects_the_limits_of_the_forms(talk, names, page) -> None:
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


def test_a_page_that_cannot_copy_does_not_offer_it(talk, page) -> None:
    """A browser has no clipboard for a page of another machine that came over http."""
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    opened(page, talk, "chat", m=["hi", "yo"])
    assert replies(page, 2) == ["hi", "yo"]
    assert page.locator(".tools button >> visible=true").all_inner_texts() == ["Edit", "Regenerate"]


def test_a_copy_that_the_browser_refuses_is_reported(talk, page) -> None:
    page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    opened(page, talk, "chat", m=["hi", "yo"])
    page.click(".assistant >> text=Copy")
    page.wait_for_selector("#trouble >> text=does not let this page copy")
    assert page.locator("text=Copied").count() == 0


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


def test_the_bars_follow_position_temperature_and_top_k(names, names_gpt, page) -> None:
    opened(page, names, "inside", text="anna", at=2)
    now = explain(names_gpt, "anna", n_alternatives=names_gpt.config.vocab_size).predictions
    label = {"<|bos|>": "end"}

    def expected(at: int, temperature: float = 1.0, k: int = 99) -> dict[str, float]:
        best = now[at].alternatives[:k]
        powers = [math.pow(one.probability, 1 / temperature) for one in best]
        shares = [power / sum(powers) for power in powers]
        return {label.get(b.text, b.text): p for b, p in zip(best, shares, strict=True)}

    def check(wanted: dict[str, float]) -> None:
        found = bars(page)
        found.pop("others", None)
        for name, share in found.items():
            assert share == pytest.approx(wanted.get(name, 0), abs=1e-5)

    check(expected(2))
    assert page.inner_text("#bars tr.came th") == now[2].text
    page.locator("#bar-temperature").fill("0.5")
    check(expected(2, 0.5))
    page.locator("#bar-top-k").fill("3")
    check(expected(2, 0.5, 3))
    assert page.inner_text("#draw") == "Draw and continue from here"
    page.focus("#positions")
    page.keyboard.press("ArrowLeft")
    until(page, "location.hash.includes('at=1')")
    check(expected(1, 0.5, 3))
    assert f"What came is “{now[1].text}”" in page.inner_text("#sentence")
    page.keyboard.press("End")
    page.locator("#bar-top-k").fill("1")
    likeliest = now[4].alternatives[0].text
    bars(page)
    page.click("#draw")
    if likeliest == "<|bos|>":
        page.wait_for_selector("text=The text ends here")
    else:
        until(page, f"document.getElementById('text').value === 'anna{likeliest}'")


def test_look_inside_reports_unknown_characters_and_long_texts(names, names_gpt, page) -> None:
    opened(page, names, "inside", text="xyz!")
    page.wait_for_selector("#unreadable:not([hidden])")
    assert page.inner_text("#unreadable").startswith("The model does not know “xyz!”")
    assert page.is_hidden("#explained")
    page.fill("#text", "Anna")
    until(page, "document.getElementById('unreadable').innerText.endsWith('Try “anna”.')")
    page.fill("#text", "anna" * 5)
    until(page, "document.getElementById('cut').innerText.includes('21 tokens')")
    assert page.locator("#positions .token").count() == names_gpt.config.block_size
    until(page, "document.getElementById('sentence').innerText.includes('context is full')")
    assert page.is_disabled("#draw")


def test_line_ends_are_read_and_drawn(serve, tmp_path, page) -> None:
    result = train(["one\ntwo\n"], config=TrainConfig(steps=1))
    save(result, tmp_path / "lines")
    server = serve(tmp_path / "lines")
    page.add_init_script("Math.random = () => 0")  # draws the first token, which is the line end
    opened(page, server, "generate", prompt="one\ntwo", number=1)
    page.click("#samples a")
    page.wait_for_selector("#explained:not([hidden])")
    text = page.input_value("#text")
    assert text.startswith("one\ntwo")
    tokens = ["start", *text.replace("\n", "↵")][: result.model.block_size]
    assert page.locator("#positions .token").all_inner_texts() == tokens
    page.fill("#text", "one\nt")
    until(page, f"{READ} === 'startone↵t'")
    bars(page)
    page.click("#draw")
    until(page, f"{READ} === 'startone↵t↵'")
    page.fill("#text", "é\n")
    until(page, "document.getElementById('unreadable').innerText.includes('characters: ↵')")


def test_look_inside_keeps_the_line_end_of_a_chat_message(subword, page) -> None:
    opened(page, subword, "chat")
    page.fill("#message", "one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    assert replies(page, 2)[0] == "one\ntwo"
    page.click("text=Look inside >> nth=1")
    until(page, f"{READ}.startsWith('startuser:one↵twoend of turnassistant:')")
    assert page.input_value("#question") == "one\ntwo"


def test_drawing_a_subword_keeps_the_text_before_it(subword, subword_gpt, page) -> None:
    tokenizer = subword_gpt.tokenizer
    talked = [Message("user", "hi"), Message("assistant", "naïve 😀 x")]

    def draw(token: int, at: int = -1) -> None:
        found = explain(subword_gpt, talked, n_alternatives=999).predictions[at]
        share = {one.token: one.probability for one in found.alternatives}
        below = sum(share[other] for other in range(token))
        page.evaluate(f"Math.random = () => {below + share[token] / 2}")
        bars(page)
        page.click("#draw")

    opened(page, subword, "inside", question="hi", text="naïve 😀 x")
    draw(tokenizer.encode("é")[0])
    page.wait_for_selector("text=a part of a character")
    assert page.input_value("#text") == "naïve 😀 x"
    draw(tokenizer.encode("y")[0])
    until(page, "document.getElementById('text').value === 'naïve 😀 xy'")
    page.fill("#text", "naïve 😀 x")
    until(page, "document.getElementById('positions').lastChild.textContent === 'x'")
    bars(page)  # those of the last token, after which no other answer is awaited
    page.locator("#positions .token", has_text="bytes:\\xc3").click()
    page.wait_for_selector("#positions [aria-selected=true]:has-text('xc3')")
    at = len(subword_gpt.chat_prompt(talked[:1]).tokens) + 2
    draw(tokenizer.encode("é")[1], at)
    until(page, "document.getElementById('text').value === 'naé'")


def test_a_long_text_is_cut_between_characters(subword, subword_gpt, page) -> None:
    opened(page, subword, "inside", question="hi", text="a" + "😀" * 30)
    page.wait_for_selector("#explained:not([hidden])")
    n = page.locator("#positions .token").count()
    assert n in range(45, 49)
    assert page.inner_text("#cut").endswith(f"The first {n} are shown.")
    read = [Message("user", "hi"), Message("assistant", "a" + "😀" * 10)]
    assert n == len(explain(subword_gpt, read).read)
    assert page.input_value("#text") == "a" + "😀" * 30


def test_the_first_example_does_not_replace_the_text_of_the_user(names, page) -> None:
    requests = held(page, "**/microgpt/v1/generate")
    page.goto(f"{HERE}{names.port}/#/inside")
    until_held(page, requests)
    page.fill("#text", "eva")
    until(page, f"{READ} === 'starteva'")
    requests[0].continue_()
    page.wait_for_timeout(300)
    assert page.input_value("#text") == "eva"
    page.goto("about:blank")
    page.goto(f"{HERE}{names.port}/#/inside")
    until(page, "document.getElementById('model').innerText.includes('weights')")
    opened(page, names, "inside", text="anna")
    page.wait_for_timeout(300)
    assert page.input_value("#text") == "anna"


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


def test_the_attention_maps_and_numbers_equal_the_model(talk, talk_gpt, page) -> None:
    opened(page, talk, "inside", question="hi there", text="yo", layer=0)
    talked = [Message("user", "hi there"), Message("assistant", "yo")]
    found = explain(talk_gpt, talked, attention=[(0, 1)], position=-1)
    page.wait_for_selector("#maps .map >> nth=1")
    page.locator("#maps .map >> nth=1").focus()
    page.keyboard.press("ArrowLeft")
    row = found.attention[0, 1][-1]
    until(
        page,
        "/^Head 1.* position "
        f"{len(row) - 2}\\.$/.test(document.getElementById('attended').innerText)",
    )
    sentence = page.inner_text("#attended")
    assert re.search(r"([\d.]+) %", sentence)[1] in (  # type: ignore[index]
        f"{100 * row[-2]:.0f}",
        f"{100 * row[-2]:.1f}",
    )
    weights = page.locator("#positions .token").evaluate_all(
        "all => all.map(one => Number(getComputedStyle(one).getPropertyValue('--share')))"
    )
    assert weights == pytest.approx(row, abs=1e-6)
    page.wait_for_selector("#numbers span")
    names = page.locator("#diagram button").evaluate_all("all => all.map(one => one.value)")
    steps = {re.sub(r" \d+$", "", name) for name in names}  # a head has a node of its own
    assert sorted(steps) == sorted([*found.activations, "probabilities"])
    page.focus("#diagram [aria-pressed=true]")
    for name in names:
        assert page.locator("#diagram button:focus").get_attribute("value") == name
        assert page.inner_text("#plain")
        assert page.inner_text("#code")
        assert page.inner_text("#file") == "model.py"
        cells = page.locator("#numbers span").all_inner_texts()
        assert cells, name
        if name in ("embedding", "layer0.mlp_output"):
            shown = [float(cell) for cell in cells]
            assert shown == pytest.approx(found.activations[name], abs=0.0051)
        page.keyboard.press("ArrowDown")
    until(page, "location.hash.includes('step=probabilities')")


def test_parts_of_the_model_are_switched_off_in_the_page(names, names_gpt, page) -> None:
    def shown(*, without_mlp: bool) -> None:
        edits = Edits([(0, 1)], [0] if without_mlp else [], weights=[WeightEdit("wte", 3, 2, 0.5)])
        now = explain(names_gpt, "anna", position=-1, edits=edits)
        last = now.predictions[-1].alternatives
        until(page, f"document.getElementById('effect').innerText.includes('{now.bits:.1f} now.')")
        text = page.inner_text("#effect")
        before = explain(names_gpt, "anna", n_alternatives=1)
        assert f"{before.bits:.1f} bits before" in text
        token = before.predictions[-1].alternatives[0].token
        share = next(each.probability for each in last if each.token == token)
        assert f"is {100 * share:.0f} %." in text or f"is {100 * share:.1f} %." in text

    opened(page, names, "inside", text="anna", step="embedding")
    page.wait_for_selector("#numbers span")
    assert page.is_hidden("#changed")
    page.click("#edit-weight summary")
    page.fill("#weight-row", "3")
    page.fill("#weight-column", "2")
    page.fill("#weight-value", "0.5")
    page.keyboard.press("Enter")
    page.click("#diagram button[value='layer0.query']")
    page.click("#switches label:has-text('head 1') input")
    shown(without_mlp=False)
    page.click("#diagram button[value='layer0.hidden']")
    page.click("#switches input")
    shown(without_mlp=True)
    until(page, "document.getElementById('plain').innerText.startsWith('It is switched off')")
    assert page.locator("#diagram .off").count() == 1 + 3  # the head, and all of the MLP
    assert page.locator("#diagram .off").first.inner_text() == "Head 1"
    until(page, "/without-head=0.1.*without-mlp=0.*weight=wte/.test(location.hash)")
    page.reload()  # the address keeps the changes
    shown(without_mlp=True)
    page.click("text=without the MLP of layer 0 ✕")
    shown(without_mlp=False)
    page.click("#switch-all-on")
    page.wait_for_selector("#changed", state="hidden")


def test_a_head_and_an_mlp_are_explained_by_what_they_do(names, names_gpt, page) -> None:
    found = explain(names_gpt, "anna", position=2, ablations=True)
    opened(page, names, "inside", text="anna", at=2, step="layer0.attention 1")
    until(page, "document.getElementById('plain').innerText.includes('the whole text takes')")
    assert page.inner_text("#step-title") == "Head 1, layer 0"
    assert page.locator("#diagram [aria-pressed=true]").all_inner_texts() == ["Head 1"]
    row = found.activations["layer0.attention"][1]
    place = row.index(max(row))
    told = page.inner_text("#plain")
    assert f"{100 * max(row):.0f} %" in told
    assert ("this token itself" if place == 2 else shown_as(found.read[place])) in told
    assert page.locator("#numbers span").count() == len(row)
    for i, part in enumerate(found.ablations):
        page.click(f"#parts tbody tr:nth-child({i + 1}) button")
        step = "hidden" if part.head is None else f"attention {part.head}"
        value = f"layer{part.layer}.{step}"
        page.wait_for_selector(f"#diagram [value='{value}'][aria-pressed=true]")
        told = page.inner_text("#plain")
        change = part.bits_without - part.bits
        assert ("as many bits" if abs(change) < 0.05 else f"{abs(change):.1f} bits ") in told
        without, own = (percent(one) for one in (part.came.without, part.came.probability))
        assert f"What came, “n”, has {without} without it, {own} with it." in told
        for each in (*part.raised, *part.lowered):
            if abs(each.probability - each.without) >= 0.0101:
                assert shown_as(each.text) in told
    opened(page, names, "inside", text="anna", at=2, step="layer0.attention 9")
    until(page, "document.getElementById('step-title').innerText === 'Embedding'")
    hidden = found.activations[value]
    assert told.startswith(f"{sum(each > 0 for each in hidden)} of its {len(hidden)} hidden units")


def percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f} %"


def shown_as(label: str) -> str:
    return {"<|bos|>": " token"}.get(label, f"“{label}”")


def test_the_page_shows_how_the_model_learns_from_a_text(names, names_gpt, page) -> None:
    def facts(*weight: Any) -> dict[str, Any]:
        return explain(names_gpt, "anna", position=2, backward=weight).backward

    opened(page, names, "inside", text="anna", at=2)
    page.wait_for_selector("#numbers span")
    page.focus("#backward")
    page.keyboard.press("Enter")
    page.wait_for_selector("#learned:has-text('bits before')")
    whole = facts("lm_head", 0, 0)
    bits = f"takes {whole['bits_before']:.2f} bits before, {whole['bits_after']:.2f} after"
    assert bits in page.inner_text("#learned")
    assert page.inner_text("#step-title") == "Probabilities"
    assert "to “n”, which came. It should have been 100 %" in page.inner_text("#plain")
    page.keyboard.press("Tab")
    page.click("#diagram button[value='layer0.query']")
    until(page, "document.querySelectorAll('#why canvas').length === 2")
    name, row, column = re.match(
        r"([\w.]+)\[(\d+),(\d+)\]", page.inner_text("#why-weight")
    ).groups()  # type: ignore[union-attr]
    weight = facts(name, int(row), int(column))["weight"]
    largest = max(abs(each) for numbers in weight["gradients"] for each in numbers)
    assert abs(weight["gradient"]) == largest
    assert f"{abs(weight['move']):.4f}" in page.inner_text("#why")
    products = sorted((x * y for x, y in weight["factors"]), key=abs, reverse=True)
    cell = page.inner_text("#why tbody td:nth-child(4) >> nth=0")
    assert float(cell.replace("−", "-")) == pytest.approx(products[0], rel=0.06, abs=6e-5)
    push = page.locator("#numbers span").all_inner_texts()[0].replace("−", "-")
    assert float(push) == pytest.approx(-whole["gradients"]["layer0.query"][0], rel=0.06, abs=6e-5)
    page.fill("#weight-row", "1")
    until(page, f"document.getElementById('why').innerText.startsWith('{name}[1,{column}]')")
    page.locator("#why canvas").first.click(position={"x": 3, "y": 3})
    until(page, f"document.getElementById('why').innerText.startsWith('{name}[0,0]')")


def test_a_training_step_is_made_in_the_page(names, names_gpt, page) -> None:
    opened(page, names, "inside", text="anna", backward=1)
    page.wait_for_selector("#learned:has-text('bits before')")
    page.click("#make-step")
    learned = names_gpt.edited(Edits(learn=["anna"]))
    bits = explain(learned, "anna").bits
    until(page, f"document.getElementById('effect').innerText.includes('{bits:.1f} now.')")
    page.wait_for_selector("#written:not([hidden])")
    cells = page.locator("#texts-written td").all_inner_texts()
    assert [cell.strip() for cell in cells[::2]] == names_gpt.generate(5)
    assert [cell.strip() for cell in cells[1::2]] == learned.generate(5)
    page.click("#diagram button[value='layer0.hidden']")
    page.click("#switches input")
    page.wait_for_selector("#make-step[disabled]")
    assert page.is_visible("#no-step")
    until(page, "/without-mlp=0.*learn=anna/.test(location.hash)")


def test_the_reply_of_a_changed_chat_model_is_shown(talk, talk_gpt, page) -> None:
    opened(page, talk, "inside", question="hi there", text="yo", **{"without-head": "0.1"})
    page.wait_for_selector("#written:not([hidden])")
    changed = talk_gpt.edited(Edits([(0, 1)]))
    wanted = [each.chat("hi there", seed=42).content for each in (talk_gpt, changed)]
    found = page.locator("#texts-written td").all_inner_texts()
    assert [cell.strip() for cell in found] == [each.strip() for each in wanted]
    page.click("#switch-all-on")
    page.wait_for_selector("#written", state="hidden")
    page.click("#backward")
    page.wait_for_selector("#learned:has-text('bits before')")
    page.click("#make-step")
    document = [Message("user", "hi there"), Message("assistant", "yo")]
    bits = explain(talk_gpt, document, backward=("wte", 0, 0)).backward["bits_after"]
    until(page, f"document.getElementById('effect').innerText.includes('{bits:.1f} now.')")


def test_the_page_works_if_the_browser_limits_history_changes(names, page) -> None:
    """WebKit allows 100 in 30 seconds; here, 0 at first."""
    page.add_init_script(LIMIT)
    opened(page, names, "inside", text="a")
    page.wait_for_selector("#explained:not([hidden])")
    page.evaluate(TYPE, "anna")
    until(page, "document.querySelectorAll('#positions .token').length === 5")
    assert page.url.endswith("?text=a")
    page.evaluate("window.allowed = 100")
    until(page, "location.hash.endsWith('?text=anna')")
    page.evaluate(TYPE, "an" * 100)
    until(page, f"location.hash.endsWith('?text={'an' * 100}')")
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
def test_an_unknown_view_shows_the_first_one(names, page, view) -> None:
    page.goto(f"{HERE}{names.port}/#/{view}")
    page.wait_for_selector("#generate:not([hidden])")
    until(page, "location.hash === '#/generate'")
    assert page.is_hidden("#inside")
    assert page.title() == "Generate – microgpt"


def test_a_later_reply_is_explained_with_its_context(talk, talk_gpt, page) -> None:
    def check(*messages: str) -> None:
        roles = ("user", "assistant")
        prompt = talk_gpt.chat_prompt([Message(roles[i % 2], m) for i, m in enumerate(messages)])
        wanted = "".join(talk_gpt.tokenizer.label(one) for one in (*prompt.tokens, *yo))
        names = ("bos", "start"), ("user", "user:"), ("assistant", "assistant:")
        for name, text in (*names, ("end_turn", "end of turn")):
            wanted = wanted.replace(f"<|{name}|>", text)
        until(page, f"{READ} === '{wanted}'")

    yo = talk_gpt.tokenizer.encode("yo")
    opened(page, talk, "chat", m=["hi there", "yo man", "hi", "yo"])
    page.click("#turns li:last-child >> text=Look inside")
    check("hi there", "yo man", "hi")
    assert page.inner_text("#before span >> nth=0") == "The model also reads the 2 messages before."
    learned = page.locator("#positions .token[title]").all_inner_texts()
    assert learned == [*"yo␣man", "end of turn", *"yo"]
    page.fill("#question", "hi there")
    check("hi there", "yo man", "hi there")
    until(page, "location.hash.includes('question=hi+there')")
    link = page.url
    page.click("text=Leave them out")
    check("hi there")
    assert page.is_hidden("#before")
    page.goto("about:blank")
    page.goto(link)
    check("hi there", "yo man", "hi there")
    page.fill("#question", "hi there, man, yo")
    check("hi there", "yo man", "hi there, man, yo")
    assert "has not read its first 18 tokens" in page.inner_text("#cut")
    assert page.inner_text("#cut").endswith("The model does not know these characters: ,")


def test_the_playground_folds_capitals_if_the_model_does(talk, names, page) -> None:
    opened(page, talk, "inside", question="Hi THERE", text="Yo")
    page.wait_for_selector("#positions .token >> nth=13")
    assert "hi␣there" in "".join(page.locator("#positions .token").all_inner_texts())
    opened(page, names, "generate", prompt="Anna")  # a model that does not fold
    page.wait_for_selector("#trouble:not([hidden])")
    assert page.inner_text("#trouble").endswith("Try “anna”.")


def test_the_first_example_suits_the_model(shared, talk, subword_dir, page) -> None:
    opened(page, talk, "inside")  # this model lacks a letter of "hello"
    assert page.input_value("#question") == ""
    assert page.is_hidden("#explained")
    assert page.is_hidden("#unreadable")
    page.fill("#question", "hi")
    page.wait_for_selector("#explained:not([hidden])")
    page.fill("#question", " ")
    page.wait_for_selector("#explained", state="hidden")
    page.goto("about:blank")
    opened(page, talk, "chat", m=["hi there", "yo man", "hi", "yo"])
    page.click("nav >> text=Look inside")
    until(page, "location.hash.endsWith('?m=hi+there&m=yo+man&question=hi&text=yo')")
    page.wait_for_selector("#explained:not([hidden])")
    opened(page, shared(subword_dir), "inside")
    page.wait_for_selector("#explained:not([hidden])")
    assert page.input_value("#question") == "hello"


def test_the_page_reports_problems_in_words(serve, names_dir, page, complaints) -> None:
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


def test_a_hostile_chat_model_cannot_add_to_the_page(serve, tmp_path, page) -> None:
    image = f'<img src=x onerror="{TAKEN}">'
    talk = (Message("user", image), Message("assistant", HOSTILE))
    shape = ModelConfig(block_size=256)
    save(train([talk], model=shape, config=TrainConfig(steps=1)), tmp_path / "model")
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
