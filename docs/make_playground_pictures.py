"""Create the pictures of the playground, and the model in one file that docs/give.md shows.

    uv run --with pillow python docs/make_playground_pictures.py

The pictures are an animation of "Look inside", and screenshots of the other views. The script
trains the preset names-60s, opens the pages of it and of the demo model in a headless Chromium,
which must be on the PATH. The file has a model of Karpathy's size. A run takes two minutes.
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
from microgpt_page.document import document

PICTURES = Path(__file__).parent / "pictures"
SIZE = {"width": 960, "height": 860}
N_COLORS = 128
SHORT_MS, LONG_MS = 700, 1600  # how long a frame is shown
# Draws the tokens that stand at these shares of the probabilities, the likeliest first.
DRAWS = "const shares = [0.7, 0.2, 0.5, 0.3, 0.05]; let n = 0; Math.random = () => shares[n++ % 5]"
TRAIN = "microgpt train --preset names-60s --model names"
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
        names = page_of(Path(folder) / "names", folder)
        film(browser, names)
        generate(browser, names)
        train(browser, names)
        chat(browser, page_of(bundled(DEMO_MODEL), folder))
        browser.close()


def page_of(model: Path, folder: str) -> str:
    """Write the page of a model to a folder; return its address."""
    file = Path(folder) / f"{model.name}.html"
    file.write_bytes(document(load(model), model.name))
    return file.as_uri()


def film(browser: Browser, url: str) -> None:
    """Draw a name letter by letter, move over the attention maps, and step through the numbers."""
    page = browser.new_page(viewport=SIZE)
    page.add_init_script(DRAWS)
    page.goto(f"{url}#/inside?text=")
    frames: list[tuple[Image.Image, int]] = []

    def shoot(ms: int) -> None:
        page.wait_for_timeout(400)  # until everything has been drawn
        frames.append((picture(page), ms))

    page.wait_for_selector("#maps canvas")
    shoot(LONG_MS)
    for _ in range(5):
        page.click("#draw")
        shoot(SHORT_MS)
    page.locator("#maps").scroll_into_view_if_needed()
    cells = page.locator("#maps .map").nth(1).bounding_box()
    assert cells
    for row, column in ((0.95, 0.6), (0.8, 0.5), (0.65, 0.4)):
        page.mouse.move(cells["x"] + column * cells["width"], cells["y"] + row * cells["height"])
        shoot(SHORT_MS)
    page.mouse.move(5, 5)
    page.locator("#diagram").evaluate("one => one.scrollIntoView()")
    for step in ("embedding", "layer0.attention 0", "layer0.hidden", "logits", "probabilities"):
        page.locator(f"#diagram [value='{step}']").first.click()
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
    """Take a screenshot of Karpathy's training at its end."""
    page = browser.new_page(viewport={"width": 1100, "height": 1180})
    page.goto(f"{url}#/train")
    page.click("#plan-start")
    page.wait_for_timeout(12_000)  # at 100 steps per second
    page.locator("#train-pause").evaluate("one => one.scrollIntoView()")
    picture(page).save(PICTURES / "playground_train.png", optimize=True)
    page.close()


def chat(browser: Browser, url: str) -> None:
    """Take a screenshot of a conversation and of other tokens, in the dark scheme."""
    page = browser.new_page(viewport={"width": 960, "height": 720}, color_scheme="dark")
    page.goto(f"{url}#/chat")
    for n, message in enumerate(("Hi! My name is Ada.", "whats 17 + 25", "who am i?"), start=1):
        page.fill("#message", message)
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#turns .tools >> nth={2 * n - 1}")
    page.locator(".assistant .said").last.focus()
    page.wait_for_selector("#alternatives:not([hidden])")
    for _ in range(8):  # to the first letter of the name
        page.keyboard.press("ArrowRight")
    picture(page).save(PICTURES / "playground_chat.png", optimize=True)
    page.close()


def picture(page: Page) -> Image.Image:
    """Return what the page shows, with a palette."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    return image.quantize(N_COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main()
