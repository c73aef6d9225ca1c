"""Measure how fast the playground appears and how smoothly its attention maps follow the pointer.

    uv run python bench/playground.py [--rounds 5]

Serves the demo model and opens its page in a headless Chromium. First paint: the time since the
start of the navigation, with an empty cache. Frames: frames per second while the pointer moves over
an attention map of 256 tokens, and while the page is at rest. Prints medians and ranges.
Needs a Chromium on the PATH.
"""

import shutil
import statistics
import sys
from urllib.parse import urlencode

from harness import parsed
from machine import machine
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from service import serving

SERVE = [sys.executable, "-m", "microgpt_cli", "serve", "--port", "0"]
N_TOKENS = 256  # the context of the demo model
SECONDS = 2
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
COUNT_FRAMES = """seconds => new Promise(resolve => {
    let n = -1, start;
    const frame = now => {
        start ??= now;
        n += 1;
        if (now - start < 1000 * seconds) requestAnimationFrame(frame);
        else resolve(1000 * n / (now - start));
    };
    requestAnimationFrame(frame);
})"""
# Moves faster than the screen is drawn; the events are those of a pointer.
MOVE = """map => {
    const box = map.getBoundingClientRect();
    let t = 0;
    window.moving = setInterval(() => {
        t += 0.05;
        const [x, y] = [0.2 + 0.15 * Math.sin(t), 0.7 + 0.25 * Math.cos(1.3 * t)];
        map.dispatchEvent(new PointerEvent("pointermove", {
            clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true,
        }));
    }, 4);
}"""


def main() -> None:
    """Measure the page and print the results."""
    options = parsed(__doc__, rounds=5)
    found: dict[str, list[float]] = {"first paint, ms": [], "at rest": [], "pointer moves": []}
    with serving(SERVE) as service, sync_playwright() as playwright:
        browser = launched(playwright)
        for _ in range(options.rounds):
            found["first paint, ms"].append(first_paint(browser, service.url))
            for name, rate in frames(browser, service.url).items():
                found[name].append(rate)
        version = browser.version
        browser.close()
    print(f"{machine()}; Chromium {version}; median (range) of {options.rounds}")
    for name, values in found.items():
        unit = "" if name.endswith("ms") else " frames per second"
        middle = statistics.median(values)
        print(f"  {name}: {middle:.0f}{unit} ({min(values):.0f} to {max(values):.0f})")
    ratio = statistics.median(found["pointer moves"]) / statistics.median(found["at rest"])
    print(f"  frames while the pointer moves, relative to rest: {ratio:.2f}")


def launched(playwright: Playwright) -> Browser:
    """Return a headless Chromium."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    return playwright.chromium.launch(executable_path=path)


def first_paint(browser: Browser, url: str) -> float:
    """Return the time to the first contentful paint, in milliseconds."""
    page = browser.new_page()
    page.goto(url)
    while not (found := page.evaluate(PAINT)):
        page.wait_for_timeout(10)
    page.close()
    return float(found)


def frames(browser: Browser, url: str) -> dict[str, float]:
    """Return the frames per second at rest and while the pointer moves over a map."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    reply = "a" * (N_TOKENS - len("hello") - 4)  # start, user, end of turn, assistant
    page.goto(f"{url}/#/inside?{urlencode({'question': 'hello', 'text': reply})}")
    page.wait_for_selector("#maps .map canvas")
    assert page.locator("#positions .token").count() == N_TOKENS
    rest = page.evaluate(COUNT_FRAMES, SECONDS)
    return {"at rest": rest, "pointer moves": moving(page)}


def moving(page: Page) -> float:
    """Return the frames per second while the pointer moves."""
    page.locator("#maps .map").first.evaluate(MOVE)
    rate: float = page.evaluate(COUNT_FRAMES, SECONDS)
    assert "comes from" in page.inner_text("#attended")
    page.close()
    return rate


if __name__ == "__main__":
    main()
