"""Load documents from files: lines, blocks of lines, running text or conversations."""

from itertools import groupby
from pathlib import Path
from typing import cast

from microgpt.compilation import Tell
from microgpt.data.conversation_file import load_chat_tests
from microgpt.data.read_options import ReadOptions
from microgpt.data.readers import read_by_kind
from microgpt.data.text_file import TextFile
from microgpt.data.text_kind import is_running_text
from microgpt.data.tokenizer import Conversation, Documents
from microgpt.errors import ConfigError, DataError
from microgpt.printable_text import printable

DEMO_MODEL = "models/chat"  # bundled chat model, used if the user has no model
BLANK = "blank"  # the separator for blank lines


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
    found = read_by_kind(file, how, tell)
    if found is not None:
        return found
    if how.separator is not None:
        return _blocks(file, how.separator)
    lines = file if how.text == "lines" else [*file]  # lines alone would take memory
    if how.text == "stream" or (isinstance(lines, list) and is_running_text(lines)):
        text = "\n".join(lines)
        if not text.strip():
            raise DataError(f"{file.path} has no text; use another file")
        if tell and how.text is None:
            others = f"--text lines: each line is a document; --separator {BLANK}: each paragraph"
            tell(f"reading {file.path} as running text ({others})")
        return text
    docs = [doc for line in lines if (doc := line.strip())]
    if not docs:
        raise DataError(f"{file.path} is empty; write one document per line")
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


def _blocks(file: TextFile, separator: str) -> list[str]:
    """Return the texts between separators, without white space around them.

    Args:
        separator: a line, such as % or ---, or BLANK.

    Raises:
        ConfigError: the separator is empty.
        DataError: the file cannot be read, or has no separator or only separators.
    """
    wanted = "" if separator == BLANK else separator.strip()
    if not wanted and separator != BLANK:
        raise ConfigError(f"--separator is empty; for blank lines use --separator {BLANK}")
    grouped = groupby(file, lambda line: line.strip() == wanted)
    blocks = [(is_separator, "\n".join(lines).strip()) for is_separator, lines in grouped]
    if not any(is_separator for is_separator, _ in blocks):
        what = "blank line" if separator == BLANK else f"line {printable(separator)!r}"
        raise DataError(f"{file.path} has no {what} to separate documents; omit --separator")
    docs = [text for is_separator, text in blocks if text and not is_separator]
    if not docs:
        raise DataError(
            f"{file.path} has only separators ({printable(separator)!r}); use another --separator"
        )
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
