"""Load documents from files: lines, running text or conversations."""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from microgpt.compilation import Tell
from microgpt.data.conversation_file import load_chat_tests
from microgpt.data.read_options import ReadOptions
from microgpt.data.readers import read_by_kind
from microgpt.data.separator import BLANK, load_blocks
from microgpt.data.text_file import TextFile
from microgpt.data.text_kind import is_running_text
from microgpt.data.tokenizer import Conversation, Documents
from microgpt.errors import DataError

DEMO_MODEL = "models/chat"  # bundled chat model, used if the user has no model


def load_documents(
    path: str | Path | TextFile, how: ReadOptions, *, tell: Tell | None = None
) -> Documents:
    """Return the documents of a file, or a string if the file is running text.

    Args:
        tell: called with notes for the user.

    Raises:
        DataError: the file cannot be read, has no documents, or requires other options.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    if how.chat:
        return load_conversations(file, me=how.me, tell=tell)
    docs = read_by_kind(file, how, tell)
    if docs is not None:
        return docs
    if how.separator is not None:
        return load_blocks(file, how.separator)
    if how.text == "stream":
        text = "\n".join(file)
        if not text.strip():
            raise DataError(f"{file.path} has no text; use another file")
        return text
    if how.text == "lines":
        return _non_empty_lines(file.path, file)
    docs = load_lines_or_stream(file)
    if tell and isinstance(docs, str):
        others = f"--text lines: each line is a document; --separator {BLANK}: each paragraph"
        tell(f"reading {file.path} as running text ({others})")
    return docs


def load_text(
    path: str | Path | TextFile, *, column: str | None = None, tell: Tell | None = None
) -> list[str]:
    """Return the non-empty lines of a UTF-8 text file, with surrounding white space removed.

    Args:
        column: table column or field of JSON objects to read; see `load_column`.
        tell: called with a message for the user if rows of a table were omitted.

    Raises:
        DataError: the file cannot be read, is not UTF-8, has no text, or is a table or JSON.
    """
    docs = load_documents(path, ReadOptions("lines", column), tell=tell)
    return [docs] if isinstance(docs, str) else cast("list[str]", docs)


def load_lines_or_stream(file: TextFile) -> list[str] | str:
    """Return the lines of a text file, or its whole content if it is running text."""
    lines = [*file]
    return "\n".join(lines) if is_running_text(lines) else _non_empty_lines(file.path, lines)


def _non_empty_lines(path: Path, lines: Iterable[str]) -> list[str]:
    docs = [doc for line in lines if (doc := line.strip())]
    if not docs:
        raise DataError(f"{path} is empty; write one document per line")
    return docs


def load_conversations(
    path: str | Path | TextFile, *, me: str | None = None, tell: Tell | None = None
) -> list[Conversation]:
    """Return the conversations of a file; see `conversation_file` for the formats.

    Each conversation starts with a user message, and the roles alternate. Other fields and blank
    lines are ignored. System messages and a final user message without a reply are omitted.

    Args:
        me: name of the participant who is the assistant in an exported chat between people.
        tell: called with a message for the user if any messages were omitted.

    Raises:
        DataError: the file cannot be read or has no conversation, or a line is invalid; the error
            message contains the line number.
    """
    return load_chat_tests(path, me=me, tell=tell).conversations


def bundled(name: str) -> Path:
    """Return the path of a bundled file or directory; raise DataError if it does not exist."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[3]
    for folder in (package / "_data", checkout / "data", checkout / "examples"):
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{name} is not bundled with microgpt")
