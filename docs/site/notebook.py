"""Run a notebook, and convert its cells and their outputs to a page."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

TIMEOUT_S = 300  # time limit per cell; a whole notebook takes about ten seconds
PICTURE = "image/png"


def page(path: Path, shown: str) -> str:
    """Run a notebook in an empty directory; return Markdown with a note of its path, `shown`."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT_S,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    note = f"This page is the notebook `{shown}` of the repository, with its outputs."
    heading, *rest = as_markdown(notebook).split("\n", 1)
    return "\n".join([f"{heading} (notebook)", "", note, *rest])


def as_markdown(notebook: Any) -> str:
    """Return the cells and outputs of a notebook as Markdown."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts += [_block("python", cell.source), *map(_output, cell.outputs)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _output(output: Any) -> str:
    """Return a picture or a text output of a cell as Markdown; "" for any other output."""
    data = output.get("data", {})
    if PICTURE in data:
        picture = data[PICTURE].replace("\n", "")
        return f"![Picture drawn by the code above](data:{PICTURE};base64,{picture})"
    text = output.get("text") or data.get("text/plain", "")
    return _block("text", text) if text else ""


def _block(language: str, text: str) -> str:
    return f"```` {language}\n{text.rstrip()}\n````"
