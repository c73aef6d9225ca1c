"""Draw what the README shows: what the real commands print, run in an empty directory, as an SVG.

    uv run python docs/make_pictures.py

Takes four minutes, nearly all of it the training of the chat model.
"""

import os
import re
import subprocess
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURES = Path(__file__).parent / "pictures"
NAMES = [
    ("microgpt train", ""),
    ("microgpt generate --num-samples 4 --prompt mar", ""),
]
CHAT = [
    ("microgpt train --chat --block-size 64 --output chat-model", ""),
    ("microgpt chat --model-dir chat-model", "hi\nwho are you?\nthanks\nbye\n"),
]


def main() -> None:
    """Write each session to docs/pictures/."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        record("names", NAMES, folder)
        record("chat", CHAT, folder)


def record(name: str, session: list[tuple[str, str]], folder: str) -> None:
    """Run the commands in the folder and draw what they print."""
    console = Console(record=True, width=72, file=StringIO(), force_terminal=True)
    for command, said in session:
        console.print(Text.assemble(("$ ", "green"), (command, "bold")))
        print(command)
        done = subprocess.run(
            command.split(), cwd=folder, input=said, capture_output=True, text=True, check=True,
            env={**os.environ, "COLUMNS": "72"},
        )  # fmt: skip
        lines = done.stdout.rstrip("\n").splitlines()
        if said:  # a terminal would echo the questions between the replies; a pipe does not
            questions = [f"you> {question}" for question in said.splitlines()]
            lines = [line for pair in zip(questions, lines, strict=True) for line in pair]
        console.print(Text("\n".join(lines)))
    svg = console.export_svg(title="microgpt")
    svg = re.sub(
        r"@font-face \{.*?\}", "", svg, flags=re.DOTALL
    )  # no font from a stranger's server
    (PICTURES / f"{name}.svg").write_text(svg)


if __name__ == "__main__":
    main()
