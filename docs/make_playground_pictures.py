"""Create the pictures of the playground, and the HTML file of a model that docs/give.md shows.

    uv run --with pillow python docs/make_playground_pictures.py

The pictures are an animation of the first minute, and screenshots of the views. The script trains
Karpathy's model, as the README does, and opens the pages of this model and of the demo model in a
headless Chromium, which must be on the PATH. The HTML file is docs/models/names.html.
"""

import shutil
import subprocess
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from microgpt import load
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt_page.html_page import document

PICTURES = Path(__file__).parent / "pictures"
SIZE = {"width": 1280, "height": 800}
N_COLORS = 64
SHORT_MS, LONG_MS = 700, 1600  # durations of the animation's frames
# JavaScript that replaces the random numbers of sampling with five fixed numbers, repeated.
DRAWS = "const shares = [0.7, 0.2, 0.5, 0.3, 0.05]; let n = 0; Math.random = () => shares[n++ % 5]"
TRAIN = "microgpt train --model output"
FILE = Path(__file__).parent / "models" / "names.html"
MAKE_FILE = f"microgpt export {bundled('models/names')} --format html --output {FILE} --force"


def main() -> None:
    """Write docs/pictures/playground* and docs/models/names.html."""
    subprocess.run(MAKE_FILE.split(), check=True, capture_output=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        print(TRAIN)
        subprocess.run(TRAIN.split(), cwd=folder, check=True, capture_output=True)
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path)
        output = page_of(Path(folder) / "output", folder)
        film(browser, output)
        generate(browser, output)
        train(browser, output)
        chat(browser, page_of(bundled(DEMO_MODEL), folder))
        browser.close()


def page_of(model: Path, folder: str) -> str:
    """Write the page of a model to a folder; return the page's file URL."""
    file = Path(folder) / f"{model.name}.html"
    file.write_bytes(document(load(model), model.name))
    return file.as_uri()


def film(browser: Browser, url: str) -> None:
    """Save an animation of the training, of a name drawn letter by letter, and of the diagram."""
    page = browser.new_page(viewport=SIZE)
    page.add_init_script(DRAWS)
    page.goto(url)
    frames: list[tuple[Image.Image, int]] = []

    def shoot(ms: int) -> None:
        page.wait_for_timeout(400)  # wait until everything has been drawn
        frames.append((picture(page), ms))

    page.wait_for_selector("#train-maps canvas")
    for _ in range(4):
        shoot(SHORT_MS)
    page.wait_for_selector("#train-end:not(:empty)")
    shoot(LONG_MS)
    page.goto(f"{url}#/inside?text=")
    page.wait_for_selector("#maps canvas")
    for _ in range(4):
        page.click("#draw")
        shoot(SHORT_MS)
    for step in ("layer0.query", "layer0.hidden"):
        page.hover(f"#diagram [value='{step}'] canvas")
        shoot(LONG_MS)
    page.goto(f"{url}#/inside?text=emma&at=2&step=layer0.query&backward=1")
    shoot(LONG_MS)
    images = [image for image, _ in frames]
    images[0].save(
        PICTURES / "playground.gif",
        save_all=True,
        append_images=images[1:],
        duration=[ms for _, ms in frames],
        loop=0,
        optimize=True,
    )
    page.close()


def generate(browser: Browser, url: str) -> None:
    """Take a screenshot of generated names."""
    page = browser.new_page(viewport={"width": 960, "height": 620})
    page.goto(f"{url}#/generate?prompt=mar&number=8&temperature=0.8&seed=42")
    page.wait_for_selector("#samples li")
    picture(page).save(PICTURES / "playground_generate.png", optimize=True)
    page.close()


def train(browser: Browser, url: str) -> None:
    """Take a screenshot of the page after Karpathy's training run."""
    page = browser.new_page(viewport=SIZE)
    page.goto(url)
    page.wait_for_selector("#train-end:not(:empty)")
    page.wait_for_timeout(1000)  # wait until everything has been drawn
    picture(page).save(PICTURES / "playground_train.png", optimize=True)
    page.close()


def chat(browser: Browser, url: str) -> None:
    """Take a screenshot, in the dark scheme, of a conversation and of a token's alternatives."""
    page = browser.new_page(viewport={"width": 960, "height": 720}, color_scheme="dark")
    page.goto(f"{url}#/chat")
    for n, message in enumerate(("Hi! My name is Ada.", "whats 17 + 25", "who am i?"), start=1):
        page.fill("#message", message)
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#turns .tools >> nth={2 * n - 1}")
    page.locator(".assistant .said").last.focus()
    page.wait_for_selector("#alternatives:not([hidden])")
    for _ in range(8):  # move to the first letter of the name
        page.keyboard.press("ArrowRight")
    picture(page).save(PICTURES / "playground_chat.png", optimize=True)
    page.close()


def picture(page: Page) -> Image.Image:
    """Return a screenshot of the page, converted to a palette."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    return image.quantize(N_COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main()
