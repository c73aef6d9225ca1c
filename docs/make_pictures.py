"""Create the README pictures from the output of real commands, run in an empty directory.

    uv run python docs/make_pictures.py [names chat report progress curves ladder]

Takes two minutes.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

import pexpect
from rich.color import Color
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from microgpt_cli import charts as look

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
NAMES = [
    ("microgpt train", ""),
    ("microgpt generate --novel -n 5", ""),
]
SAID = """Hi! My name is Ada.
whats 17 + 25
who am i?
spell turing and reverse turing
what is the meaning of life?
bye
"""
CHAT = [("microgpt chat", SAID)]
REPORT = [("microgpt info --data names.txt", "")]
LONG = "microgpt train --batch-size 16 --val-fraction 0.1 --steps 40000"
FEW = (
    "microgpt train --preset karpathy --data few.txt --batch-size 16 --val-fraction 0.1 "
    "--learning-rate 0.005 --steps 6000"
)
CURVES = [  # a small model, a larger one that overfits, and the larger one with early stopping
    f"{FEW} --n-embd 16 --model small",
    f"{FEW} --n-embd 48 --model large",
    f"{FEW} --n-embd 48 --patience 4 --model patient",
]
WIDTH = 80  # number of columns of each terminal, so that all pictures have the same font size
SEEN_AFTER_S = 1.0  # seconds of training before its progress is drawn


def main() -> None:
    """Write all pictures, or those named on the command line, to docs/pictures/."""
    PICTURES.mkdir(exist_ok=True)
    pictures = {
        "names": lambda folder: record("names", NAMES, folder),
        "chat": lambda folder: record("chat", CHAT, folder),
        "report": lambda folder: record("report", REPORT, folder),
        "progress": watch,
        "curves": plot,
        "ladder": climb,
    }
    for name in sys.argv[1:] or pictures:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(ROOT / "data" / "names.txt", folder)
            pictures[name](folder)


def record(name: str, session: list[tuple[str, str]], folder: str) -> None:
    """Run the commands of a session in a folder, and save a picture of their output."""
    console = _console()
    for command, said in session:
        console.print(Text.assemble(("$ ", "cyan"), (command, "bold")))
        print(command)
        done = subprocess.run(
            command.split(), cwd=folder, input=said, capture_output=True, text=True, check=True,
            env={**os.environ, "COLUMNS": str(WIDTH)},
        )  # fmt: skip
        lines = done.stdout.rstrip("\n").splitlines()
        if said:  # print the input, which a pipe does not echo
            questions = [f"you> {question}" for question in said.splitlines()]
            lines = [line for pair in zip(questions, lines, strict=True) for line in pair]
        console.print(Text("\n".join(lines)))
    _save(console, name)


def watch(folder: str) -> None:
    """Draw the progress display that a terminal shows during a training run."""
    child = pexpect.spawn(LONG, cwd=folder, encoding="utf-8", dimensions=(24, WIDTH), timeout=60)
    child.expect_exact("num params")
    seen, end = "", time.monotonic() + SEEN_AFTER_S
    while time.monotonic() < end:
        with contextlib.suppress(pexpect.TIMEOUT):
            seen += child.read_nonblocking(10_000, timeout=0.1)
    child.close(force=True)
    frames = seen.split("\r\x1b[K")
    console = _console()
    console.print(Text.assemble(("$ ", "cyan"), (LONG, "bold")))
    console.print(Text.from_ansi(frames[-2].replace("\r", "")))
    _save(console, "progress")


def plot(folder: str) -> None:
    """Draw the loss curves of three training runs on few documents."""
    names = (ROOT / "data" / "names.txt").read_text().split()
    Path(folder, "few.txt").write_text("\n".join(names[::8]))
    for command in CURVES:
        print(command)
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    command = f"microgpt plot small large patient --output {PICTURES / 'curves.svg'}"
    subprocess.run(command.split(), cwd=folder, check=True)


def climb(folder: str) -> None:
    """Draw the chart of `microgpt ladder` on the names."""
    command = f"microgpt ladder --output {PICTURES / 'ladder.svg'}"
    subprocess.run(command.split(), cwd=folder, check=True)


def _console() -> Console:
    return Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)


def _save(console: Console, name: str) -> None:
    dark = look.SCHEMES["dark"]
    hues = look.ORANGE, look.GREEN, look.AMBER, look.BLUE, look.PINK, look.SKY
    names = dark["paper"], *hues, dark["ink"], dark["quiet"]  # the last one is ANSI "bright black"
    *normal, quiet = (Color.parse(name).triplet for name in names)
    theme = TerminalTheme(normal[0], normal[-1], normal, [quiet, *normal[1:]])
    svg = console.export_svg(title="microgpt", theme=theme)
    svg = re.sub(
        r"@font-face \{.*?\}", "", svg, flags=re.DOTALL
    )  # without this rule, no font is loaded from a third-party server
    (PICTURES / f"{name}.svg").write_text(svg)


if __name__ == "__main__":
    main()
