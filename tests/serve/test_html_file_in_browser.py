"""Models in one HTML file, opened from disk in Chromium and in Firefox."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import commands
import pytest
from json_files import edit
from pages import UNTIL

from microgpt import Message, ModelConfig, TrainConfig, save
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.training.train import train

pytestmark = pytest.mark.slow

# The command line with 16-byte vectors and without fused multiply-add, as in WebAssembly.
SAME = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
N_SAMPLES = 200
TAKEN = "document.title = 'taken'"
HOSTILE = f'</script><script>{TAKEN}</script><img src=x onerror="{TAKEN}">\'&lt;\u2028\u202e\x07'
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
BRANCH = f"""{UNTIL}
    const said = [...document.querySelectorAll(".assistant .said")].at(-1);
    said.focus();
    const shown = (label) => texts("#alternatives:not([hidden]) > span").includes(label);
    await until(() => shown("Instead of “5”:"));
    const key = new KeyboardEvent("keydown", {{key: "ArrowRight", bubbles: true}});
    for (let i = 0; i < 11; i++) said.dispatchEvent(key);
    await until(() => shown("Instead of “9”:"));
    const other = byId("alternatives").querySelector("button:not([aria-current])");
    const token = other.querySelector(".token").textContent;
    other.click();
    await until(() => problem() || texts("#turns .tools").at(-1).includes("2 of 2"));
    return [problem(), token, texts("#turns .said").at(-1)];
"""
PROBLEM = UNTIL + "return until(problem)"


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Callable[[Path], tuple[Path, Path]]:
    """Exports a model as a page, and in half precision for the command line."""
    folder = tmp_path_factory.mktemp("exported")

    def export(model: Path) -> tuple[Path, Path]:
        page, half = folder / f"{model.name}.html", folder / model.name
        if not page.exists():
            for options in (["--format", "html", "--output", page], ["--half", "--output", half]):
                commands.run_process([commands.COMMAND, "export", model, *options], check=True)
        assert b"weights in half precision" in page.read_bytes()
        return page, half

    return export


def test_samples_equal_those_of_the_command_line(exported, names_dir, opened) -> None:
    page, half = exported(names_dir)
    command = [commands.COMMAND, "generate", "--model", half, "-n", str(N_SAMPLES), "--json"]
    out = commands.run_process([*command, "--temperature", "1"], env=SAME, check=True).stdout
    run, found = opened(page), []
    for seed in range(42, 42 + N_SAMPLES, 50):
        found += run(GENERATE, f"#/generate?number=50&temperature=1&seed={seed}")
    assert found == json.loads(out)["samples"]


def test_replies_equal_those_of_the_command_line(exported, opened) -> None:
    page, half = exported(bundled(DEMO_MODEL))
    for seed in (42, 7):
        command = [commands.COMMAND, "chat", "--model", half, "--seed", str(seed)]
        stdin = "".join(f"{message}\n" for message in MESSAGES)
        out = commands.run_process(command, env=SAME, stdin=stdin, check=True).stdout
        run = opened(page, f"#/chat?seed={seed}")
        assert [run(CHAT, message) for message in MESSAGES] == out.splitlines()


def test_a_continued_reply_in_the_file_survives_a_reload(exported, opened) -> None:
    run = opened(exported(bundled(DEMO_MODEL))[0], "#/chat?temperature=0")
    assert run(CHAT, "what is 57 plus 22?") == "57 + 22 = 79"
    problem, token, branch = run(BRANCH)
    assert not problem
    assert branch.startswith(f"57 + 22 = 7{token}")
    run("window.isOld = true; setTimeout(() => location.reload(), 50)")
    n_said = "return window.isOld ? 0 : document.querySelectorAll('#turns .said').length"
    for _ in range(600):
        if run(n_said) == 2:
            break
        time.sleep(0.1)
    assert run(UNTIL + "return texts('#turns .said').at(-1)") == branch
    run("document.querySelector('[aria-label=\"Version before\"]').click()")
    assert run(UNTIL + "return texts('#turns .said').at(-1)") == "57 + 22 = 79"


def test_the_model_in_the_file_can_be_changed(exported, names_dir, opened) -> None:
    page, half = exported(names_dir)
    command = [commands.COMMAND, "explain", half, "anna", "--without-head", "0.1", "--json"]
    changed = json.loads(commands.run_process(command, env=SAME, check=True).stdout)
    run = opened(page, "#/inside?text=anna&without-head=0.1")
    effect = run(UNTIL + "return until(() => byId('effect').innerText)")
    assert f"{changed['bits']:.1f} now." in effect
    run("location.hash = '#/inside?text=anna&without-head=9.9'")
    assert run(UNTIL + "return until(() => byId('unreadable').innerText)").startswith("Layer must")
    run("document.getElementById('switch-all-on').click()")
    assert run(UNTIL + "return until(() => byId('changed').hidden && !byId('explained').hidden)")


def test_the_model_in_the_file_learns_from_a_text(exported, names_dir, opened) -> None:
    page, half = exported(names_dir)
    command = [commands.COMMAND, "explain", half, "anna", "--json"]
    options = ["--parts", "--backward", "layer0.attn_wq[0,0]", "--position", "2"]
    out = commands.run_process([*command, *options], env=SAME, check=True).stdout
    wanted = json.loads(out)
    run = opened(page, "#/inside?text=anna&at=2&backward=1&step=layer0.query")
    found = wanted["backward"]
    bits = f"{found['bits_before']:.2f} bits before, {found['bits_after']:.2f} after."
    told = run(UNTIL + "return until(() => byId('learned').textContent)")
    assert told.endswith(bits)
    canvases = "return until(() => byId('why').querySelectorAll('canvas').length)"
    assert run(UNTIL + canvases) == 2
    rows = run(UNTIL + "return until(() => texts('#parts td')[3] && texts('#parts td'))")
    without = sorted((each["bits_without"] for each in wanted["ablations"]), reverse=True)
    with_all = wanted["ablations"][0]["bits"]  # the first row
    assert [float(cell) for cell in rows[1::3]] == pytest.approx([with_all, *without], abs=0.051)
    run("document.getElementById('make-step').click()")
    effect = run(UNTIL + "return until(() => byId('effect').innerText)")
    assert f"{found['bits_after']:.1f} now." in effect
    texts = run(
        UNTIL + "return until(() => texts('#texts-written td')[9] && texts('#texts-written td'))"
    )
    assert len(texts) == 10
    command = [commands.COMMAND, "generate", "--model", half, "-n", "5", "--json"]
    samples = json.loads(commands.run_process(command, env=SAME, check=True).stdout)["samples"]
    assert texts[::2] == samples
    assert run("return document.getElementById('trouble').innerText") == ""


def test_a_model_of_few_questions_answers_them_in_the_file(tmp_path, opened) -> None:
    pairs = {"When are you open?": "From 7 to 18.", "Can I order a cake?": "Call us."}
    talks = [(Message("user", asked), Message("assistant", said)) for asked, said in pairs.items()]
    save(train(talks), tmp_path / "faq")
    edit(tmp_path / "faq/meta.json", examples=[*pairs])
    page = tmp_path / "faq.html"
    command = [commands.COMMAND, "export", tmp_path / "faq", "--format", "html", "--output", page]
    commands.run_process(command, check=True)
    run = opened(page)
    assert run(CHAT, "who are the beatles") == "I don't know."
    run("document.getElementById('chat-temperature').value = 9")
    assert run(CHAT, "order cakes") == "Call us."
    assert "Generate" not in run("return document.querySelector('nav').innerText")
    shown = run("return [...document.querySelectorAll('#examples button')].map((b) => b.innerText)")
    assert shown == [*pairs]
    assert run("return document.getElementById('chat-sampling').hidden")


def test_hostile_text_is_displayed_but_never_executed(tmp_path, opened) -> None:
    talk = [HOSTILE, HOSTILE]
    save(
        train(talk, model=ModelConfig(block_size=128), config=TrainConfig(steps=200)),
        tmp_path / "a",
    )
    page = tmp_path / "<b>.html"
    command = [commands.COMMAND, "export", tmp_path / "a", "--format", "html", "--output", page]
    commands.run_process(command, check=True)
    run = opened(page)
    texts = run(GENERATE, "#/generate?number=50&temperature=0.1")
    assert any("</script><script>" in text for text in texts)
    assert run("return document.title") == "Generate – microgpt"
    assert run("return document.querySelectorAll('script, img').length") == 5


def test_the_page_works_in_a_frame(exported, names_dir, page, tmp_path) -> None:
    file, _ = exported(names_dir)
    source = f"{file.as_uri()}#/generate?number=3"
    frame = f'<iframe src="{source}" sandbox="allow-scripts allow-forms"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!doctype html>{frame}")
    page.goto((tmp_path / "frame.html").as_uri())
    inside = page.frames[1]
    inside.wait_for_selector("#samples li >> nth=2")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_the_page_is_accessible(exported, chromium, page, scheme, width) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    run = chromium(exported(bundled(DEMO_MODEL))[0])
    run(CHAT, "what is 3 plus 4?")
    for view in ("chat", "inside"):
        run("location.hash = args[0]", f"#/{view}")
        page.wait_for_selector(f"#{view}:not([hidden])")
        found = Axe().run(page).response["violations"]
        serious = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], (view, found)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def test_the_page_cannot_reach_the_network(exported, names_dir, opened, complaints) -> None:
    run = opened(exported(names_dir)[0])
    refused = run("try { await fetch('http://127.0.0.1/'); } catch (error) { return error.name; }")
    assert refused == "TypeError"
    complaints[:] = [each for each in complaints if "Content Security Policy" not in each]


def damaged(page: Path, change: Callable[[str], str]) -> Path:
    file = page.with_name("damaged.html")
    file.write_text(change(page.read_text("utf-8")), "utf-8")
    return file


@pytest.mark.parametrize("name", ["model-data", "engine-code"])
def test_a_changed_character_is_detected(exported, names_dir, opened, name) -> None:
    def change(text: str) -> str:
        at = text.index(f'id="{name}">') + 5000
        return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]

    run = opened(damaged(exported(names_dir)[0], change))
    assert run(PROBLEM) == "This file is damaged. Ask for another copy of it."


def test_a_truncated_file_says_that_it_is_damaged(exported, names_dir, opened) -> None:
    run = opened(damaged(exported(names_dir)[0], lambda text: text[: len(text) // 2]))
    assert run(
        UNTIL + "return until(() => getComputedStyle(byId('damaged')).visibility === 'visible')"
    )
    assert "the file is damaged" in run("return document.body.innerText")
