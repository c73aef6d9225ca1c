"""Tests of the HTML page of a model, opened as a file in Chromium and in Firefox."""

import json
from collections.abc import Callable
from pathlib import Path

import commands
import pytest
from json_files import edit
from page_in_browser import SAME
from pages import UNTIL

from microgpt import Message, save
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.training.train import train

pytestmark = pytest.mark.slow

N_SAMPLES = 200
MESSAGES = (
    "hi", "my name is ada", "what is 3 plus 4?", "who am i?", "spell cat", "how are you?",
    " 17 + 25 ", "tell me a joke", "what is my name?", "bye",
)  # fmt: skip
GENERATE = f"""{UNTIL}
    byId("samples").replaceChildren();
    location.hash = args[0];
    return until(() => problem() || (texts("#samples li")[49] && texts("#samples .said")));
"""
CHAT = f"""{UNTIL}
    await until(() => !byId("chat").hidden);
    const n = texts("#turns .tools").length;
    byId("message").value = args[0];
    byId("say").requestSubmit();
    return until(
        () => problem() || (texts("#turns .tools").length > n + 1 && texts("#turns .said").at(-1))
    );
"""
PROBLEM = UNTIL + "return until(problem)"


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Callable[[Path], tuple[Path, Path]]:
    """A function that exports a model as an HTML page, and as a half-precision model directory."""
    folder = tmp_path_factory.mktemp("exported")

    def export(model: Path) -> tuple[Path, Path]:
        page, half = folder / f"{model.name}.html", folder / model.name
        if not page.exists():
            for kind, output in (("html", page), ("float16", half)):
                command = [commands.COMMAND, "export", model, "--format", kind, "--output", output]
                commands.run_process(command, check=True)
        assert b"weights in half precision" in page.read_bytes()
        return page, half

    return export


def test_samples_in_a_browser_equal_those_of_the_command_line(exported, names_dir, opened) -> None:
    page, model = exported(names_dir)
    command = [commands.COMMAND, "generate", "--model", model, "-n", str(N_SAMPLES), "--json"]
    out = commands.run_process([*command, "--temperature", "1"], env=SAME, check=True).stdout
    run, found = opened(page), []
    for seed in range(42, 42 + N_SAMPLES, 50):
        found += run(GENERATE, f"#/generate?number=50&temperature=1&seed={seed}")
    assert found == json.loads(out)["samples"]


def test_replies_in_a_browser_equal_those_of_the_command_line(exported, opened) -> None:
    page, model = exported(bundled(DEMO_MODEL))
    command = [commands.COMMAND, "chat", "--model", model, "--seed", "7"]
    stdin = "".join(f"{message}\n" for message in MESSAGES)
    out = commands.run_process(command, env=SAME, stdin=stdin, check=True).stdout
    run = opened(page, "#/chat?seed=7")
    assert [run(CHAT, message) for message in MESSAGES] == out.splitlines()


def test_a_table_models_page_chats_but_hides_technical_details(tmp_path, chromium) -> None:
    pytest.importorskip("microgpt_characters")
    pairs = {"When are you open?": "From 7 to 18.", "Can I order a cake?": "Call us."}
    talks = [(Message("user", asked), Message("assistant", said)) for asked, said in pairs.items()]
    save(train(talks), tmp_path / "faq")
    edit(tmp_path / "faq/meta.json", examples=[*pairs])
    page = tmp_path / "faq.html"
    command = [commands.COMMAND, "export", tmp_path / "faq", "--format", "html", "--output", page]
    commands.run_process(command, check=True)
    run = chromium(page)
    assert run(CHAT, "who are the beatles") == "I don't know."
    run("document.getElementById('chat-temperature').value = 9")
    assert run(CHAT, "order cakes") == "Call us."
    assert run("return document.querySelector('header').innerText.trim()") == "faq"
    shown = run("return [...document.querySelectorAll('#examples button')].map((b) => b.innerText)")
    assert shown == [*pairs]
    assert run("return document.getElementById('chat-sampling').hidden")


def test_the_page_of_a_character_shows_its_greeting_and_a_reply(exported, opened) -> None:
    pytest.importorskip("microgpt_characters")
    run = opened(exported(bundled("models/skerry"))[0], "#/chat")
    assert "Skerry" in run(CHAT, "Who are you?")
    assert run("return document.getElementById('greeting').innerText").startswith("Good evening.")


def test_the_page_cannot_reach_the_network(exported, names_dir, opened, complaints) -> None:
    run = opened(exported(names_dir)[0])
    refusal = "await new Promise((done) => (document.onsecuritypolicyviolation = done))"
    script = f"fetch('http://127.0.0.1/').catch(() => 0); return ({refusal}).effectiveDirective"
    assert run(script) == "connect-src"
    complaints[:] = [each for each in complaints if "Content Security Policy" not in each]


def test_a_changed_page_says_that_it_is_damaged(exported, names_dir, tmp_path, chromium) -> None:
    text = exported(names_dir)[0].read_text("utf-8")
    for name in ("model-data", "engine-code"):
        at = text.index(f'id="{name}">') + 5000
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        (tmp_path / f"{name}.html").write_text(changed, "utf-8")
        run = chromium(tmp_path / f"{name}.html")
        assert run(PROBLEM) == "This page is damaged. Ask for another copy of it."


def test_a_truncated_page_says_that_it_is_damaged(exported, names_dir, tmp_path, opened) -> None:
    text = exported(names_dir)[0].read_text("utf-8")
    (tmp_path / "half.html").write_text(text[: len(text) // 2], "utf-8")
    run = opened(tmp_path / "half.html")
    shown = "until(() => getComputedStyle(byId('damaged')).visibility === 'visible')"
    assert run(f"{UNTIL} return {shown}") is True
    assert "the page is damaged" in run("return document.body.innerText")
