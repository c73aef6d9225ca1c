"""Documents from files: texts, a line each or a whole file, and conversations, a JSON line each."""

from collections.abc import Callable
from pathlib import Path

from microgpt.data.conversation_file import load_chat_tests
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import Conversation
from microgpt.errors import DataError

DEMO_MODEL = "models/chat"  # `bundled` finds it: a chat model, for whoever has none of their own


def load_text(path: str | Path | TextFile) -> list[str]:
    """Return the lines of a UTF-8 text file, stripped; empty ones are left out.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or has no text in it.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    docs = [doc for line in file if (doc := line.strip())]
    if not docs:
        raise DataError(f"{file.path} is empty; it needs one document a line")
    return docs


def load_stream(path: str | Path | TextFile) -> str:
    r"""Return a UTF-8 text file as one text; its lines end with \n.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or has no text in it.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    text = "\n".join(file)
    if not text.strip():
        raise DataError(f"{file.path} is empty; it needs some text")
    return text


def load_conversations(
    path: str | Path | TextFile, *, tell: Callable[[str], None] | None = None
) -> list[Conversation]:
    """Return the conversations of a JSONL file.

    Each line is a list of {"role": "user" or "assistant", "content": text}, the two in turn and the
    user first, or an object with such a list as "messages". Other fields are ignored, blank lines
    left out; so is a last message of the user, which nobody answers.

    Args:
        tell: is called with a line for the user if messages were left out.

    Raises:
        DataError: the file cannot be read or has no conversation; or a line is no such list, with
            the number of the line.
    """
    return load_chat_tests(path, tell=tell).conversations


def bundled(name: str) -> Path:
    """Return the path of a file or directory that comes with microgpt; DataError without one."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_data", package.parents[3] / "data"):
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{name} does not come with microgpt")
