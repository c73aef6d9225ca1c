"""Run the commands of the pages on sweeps, and replace their output and pictures.

    uv run python docs/make_scaling.py

The commands run one after another in a directory that contains only the data. Pictures are written
to docs/pictures/. Takes about fifteen minutes on two idle cores; other load distorts the timings.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [DOCS / "scaling.md", DOCS / "measurements" / "scaling.md"]
BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
PROMPT = "$ "


def main() -> None:
    """Update the pages and their pictures."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "data", Path(folder, "data"))
        for page in PAGES:
            text = page.read_text(encoding="utf-8")
            text = BLOCK.sub(lambda block: run(block[0], Path(folder)), text)
            page.write_text(text, encoding="utf-8")
        for picture in Path(folder).glob("*.svg"):
            shutil.copy(picture, DOCS / "pictures")


def run(block: str, folder: Path) -> str:
    """Run the commands of a block, and return the block with their current output."""
    shown = []
    for line in block.splitlines():
        if line.startswith(PROMPT):
            command = ["bash", "-o", "pipefail", "-c", line.removeprefix(PROMPT)]
            printed = subprocess.check_output(command, cwd=folder, text=True)
            if " sweep " in line:  # without the ranking, which `analyze` shows in more detail
                printed = printed.partition("\n\n")[0]
            shown += [line, *printed.splitlines()]
    return "".join(f"{line}\n" for line in shown)


if __name__ == "__main__":
    main()
