"""Read and split the documents of a training run."""

from collections.abc import Sequence
from pathlib import Path

from microgpt.config import Holdout, TextKind
from microgpt.data.documents import (
    load_conversations,
    load_lines,
    load_lines_or_stream,
    load_stream,
    load_text,
)
from microgpt.data.split import Split, split, split_stream
from microgpt.data.tokenizer import Document
from microgpt_cli.terminal.console import note


def load_documents(
    path: Path, text: TextKind | None, column: str | None, *, chat: bool, check: bool = True
) -> Sequence[Document] | str:
    """Return the documents of a file, or a string if the file is running text.

    Args:
        text: how to read the file; by default, running text is detected.
        column: column of a table, or field of JSON objects, that contains the documents.
        check: whether to refuse tables and JSON files that would be read as plain lines.
    """
    if chat:
        return load_conversations(path, tell=note)
    if column is not None:
        return load_text(path, column=column, tell=note)
    if text == "stream":
        return load_stream(path)
    if text == "lines":
        return load_text(path) if check else load_lines(path)
    docs = load_lines_or_stream(path)
    if isinstance(docs, str):
        note(f"reading {path} as running text (--text lines: each line is a document)")
    return docs


def split_documents(
    docs: Sequence[Document] | str, validation: float, test: float, holdout: Holdout, gap: int
) -> Split:
    """Split documents by hash, or running text by position."""
    if isinstance(docs, str):
        return split_stream(docs, validation=validation, test=test, holdout=holdout, gap=gap)
    return split(docs, validation=validation, test=test)
