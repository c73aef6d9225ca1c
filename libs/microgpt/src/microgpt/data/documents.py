"""Load documents from files: lines, running text or conversations."""

from collections.abc import Callable
from pathlib import Path

from microgpt.data.conversation_file import load_chat_tests
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import Conversation
from microgpt.errors import DataError

DEMO_MODEL = "models/chat"  # bundled chat model, used if the user has no model


def load_text(path: str | Path | TextFile) -> list[str]:
    """Return the non-empty lines of a UTF-8 text file, with surrounding white space removed.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or has no text.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    docs = [doc for line in file if (doc := line.strip())]
    if not docs:
        raise DataError(f"{file.path} is empty; write one document per line")
    return docs


def load_stream(path: str | Path | TextFile) -> str:
    r"""Return the content of a UTF-8 text file, with line endings converted to \n.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or has no text.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    text = "\n".join(file)
    if not text.strip():
        raise DataError(f"{file.path} has no text; use another file")
    return text


def load_conversations(
    path: str | Path | TextFile, *, tell: Callable[[str], None] | None = None
) -> list[Conversation]:
    """Return the conversations of a file; see `conversation_file` for the formats.

    Each conversation starts with a user message, and the roles alternate. Other fields and blank
    lines are ignored. System messages and a final user message without a reply are omitted.

    Args:
        tell: called with a message for the user if any messages were omitted.

    Raises:
        DataError: the file cannot be read or has no conversation, or a line is invalid; the error
            message contains the line number.
    """
    return load_chat_tests(path, tell=tell).conversations


def bundled(name: str) -> Path:
    """Return the path of a bundled file or directory; raise DataError if it does not exist."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_data", package.parents[3] / "data"):
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{name} is not bundled with microgpt")
