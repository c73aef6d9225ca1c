"""Run the commands of docs/scaling.md, and replace their output and two pictures of sweeps.

    uv run python docs/make_scaling.py

The commands run one after another in a directory that contains only the data. The chart of the
first sweep is written to docs/pictures/, and that of the sweep in README.md.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGE = DOCS / "scaling.md"
BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
SVG = re.compile("<svg.*</svg>", re.DOTALL)
PROMPT = "$ "
GRID = "microgpt sweep grid --vary n_embd=16,32,64 --vary lr=0.001,0.003,0.01"  # of README.md


def main() -> None:
    """Update docs/scaling.md and the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "data", Path(folder, "data"))
        text = PAGE.read_text(encoding="utf-8")
        text = BLOCK.sub(lambda block: run(block[0], Path(folder)), text)
        PAGE.write_text(text, encoding="utf-8")
        subprocess.run(GRID.split(), cwd=folder, check=True, capture_output=True)
        reports = sorted(Path(folder).glob("experiments/*/report.html"))
        for name, report in zip(("scaling_params", "sweep_grid"), reports, strict=True):
            picture = SVG.findall(report.read_text(encoding="utf-8"))[0]
            (DOCS / "pictures" / f"{name}.svg").write_text(picture, encoding="utf-8")


def run(block: str, folder: Path) -> str:
    """Run the commands of a block, and return the block with their current output."""
    shown = []
    for line in block.splitlines():
        if line.startswith(PROMPT):
            command = ["bash", "-o", "pipefail", "-c", line.removeprefix(PROMPT)]
            printed = subprocess.check_output(command, cwd=folder, text=True)
            if " sweep " in line:  # omit the ranking; `analyze` shows more
                printed = printed.partition("\n\n")[0]
            shown += [line, *printed.splitlines()]
    return "".join(f"{line}\n" for line in shown)


if __name__ == "__main__":
    main()
