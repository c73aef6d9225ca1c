"""Helpers for tests of the page in Chromium."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from microgpt import TrainResult, load, save
from microgpt_page.html_page import document

if TYPE_CHECKING:
    from playwright.sync_api import Page

# In this environment, engines compute as in WebAssembly: 16-byte vectors, no fused multiply-add.
SAME = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
READ = "document.getElementById('positions').textContent.replaceAll('␣', ' ')"
# JavaScript that holds back the requests named NAME instead of sending them to the engine.
HOLD = """
    const post = Worker.prototype.postMessage;
    window.held = [];
    Worker.prototype.postMessage = function (message, ports) {
        const send = () => post.call(this, message, ports);
        const refuse = (error) => ports[0].postMessage({ error });
        if (message.name === "NAME") held.push({ body: message.body, send, refuse });
        else send();
    };
"""


def document_of(result: TrainResult, folder: Path) -> Path:
    """Save a model in a folder; return the path of its HTML document, named after the folder."""
    save(result, folder)
    file = folder.with_name(f"{folder.name}.html")
    file.write_bytes(document(load(folder), folder.name))
    return file


def opened(page: "Page", file: Path, view: str, **parameters: Any) -> None:
    """Open a view of a model's document, with options in the address."""
    page.goto(f"{file.as_uri()}#/{view}?{urlencode(parameters, doseq=True)}")
    page.wait_for_selector(f"#{view}:not([hidden])")


def until(page: "Page", script: str) -> None:
    """Wait until a script returns true. The page's policy blocks Playwright's wait_for_function."""
    for _ in range(3000):
        if page.evaluate(script):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never: {script}")


def hold(page: "Page", name: str) -> None:
    """Make pages that are opened later hold back the engine requests named `name`."""
    page.add_init_script(HOLD.replace("NAME", name))


def until_held(page: "Page") -> Any:
    """Wait until a request is held back, and return its body."""
    until(page, "held.length > 0")
    return page.evaluate("held[0].body")


def bars(page: "Page") -> dict[str, float]:
    """Return the probabilities that the bars of "Look inside" show, by token."""
    page.wait_for_selector("#draw:not([disabled])")
    script = """rows => rows.map(row => [row.querySelector("th").innerText,
        Number(row.querySelector(".bar").style.getPropertyValue("--p"))])"""
    return dict(page.locator("#bars tbody tr").evaluate_all(script))


def say(page: "Page", text: str) -> None:
    """Send a message in the chat."""
    page.fill("#message", text)
    page.keyboard.press("Enter")


def replies(page: "Page", n: int) -> list[str]:
    """Wait until the chat shows n complete messages, and return their texts."""
    until(page, f"document.querySelectorAll('#turns .tools').length === {n}")
    return page.locator("#turns .said").all_inner_texts()


def check_accessible(page: "Page", context: str | None = None) -> None:
    """Check the accessibility of the page, or of a part, in both color modes and several widths."""
    from axe_playwright_python.sync_playwright import Axe

    for width, scheme in ((768, ""), (1600, ""), (360, "light"), (1280, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        until(page, f"document.documentElement.scrollWidth <= {width}")  # wait for the layout
        if not scheme:
            continue
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, context=context).response["violations"]
        serious = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], (page.url, width, scheme, found)
