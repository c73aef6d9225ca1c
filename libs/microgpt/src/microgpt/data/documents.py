"""Load documents from files: lines, blocks of lines, running text, tables or conversations.

Readers of packages recognise other files. They have entry points in the group `microgpt.readers`;
see docs/plugins.md.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any, Self, cast

from microgpt.config import TextKind
from microgpt.data.column_file import Records, check_is_text, load_column
from microgpt.data.conversation_file import ChatTestSet, conversation_records, parse_conversations
from microgpt.data.statistics import is_running_text
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import Conversation, Documents
from microgpt.errors import ConfigError, DataError
from microgpt.formatting import printable
from microgpt.plugins import PluginError, Tell, blaming, find_plugins, package, plugin

DEMO_MODEL = "models/chat"  # bundled chat model, used if the user has no model
BLANK = "blank"  # the separator for blank lines


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file of documents; see `Settings`, which has the same fields."""

    text: TextKind | None = None  # by default, running text is detected
    column: str | None = None  # column of a table, or field of JSON objects, with the documents
    chat: bool = False  # whether the file has conversations
    me: str | None = None  # who the assistant is in an exported chat between people
    separator: str | None = None  # between documents of several lines; see `_blocks`

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return the read options among the settings of a command or of a recorded run."""
        names = (field.name for field in fields(cls))
        return cls(**{name: settings[name] for name in names if settings.get(name) is not None})


# It returns conversations if the options have `chat`, and None for a file of another kind.
Reader = Callable[[TextFile, ReadOptions, Tell | None], Documents | None]


def load_documents(
    path: str | Path | TextFile, how: ReadOptions, *, tell: Tell | None = None
) -> Documents:
    """Return the documents of a file, or a string if the file is running text."""
    if how.chat:
        return load_conversations(path, me=how.me, tell=tell)
    file = TextFile.at(path)
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


def load_chat_tests(
    path: str | Path | TextFile, *, me: str | None = None, tell: Tell | None = None
) -> ChatTestSet:
    """Return `load_conversations`, with an `Item` for each reply that has a `task`."""
    file = TextFile.at(path)
    found = read_by_kind(file, ReadOptions(chat=True, me=me), tell)
    if me is not None and not file.is_chat_export:
        problem = "is not an exported chat between people"
        raise DataError(
            f"{file.path} {problem} (read by the package microgpt-chat-exports); omit --me"
        )
    if found is None:
        return parse_conversations(file.path, conversation_records(file), tell)
    return parse_conversations(file.path, Records(enumerate(found, 1), "conversation"), tell)


def read_by_kind(file: TextFile, how: ReadOptions, tell: Tell | None = None) -> Documents | None:
    """Return what the first reader returns that recognises a file, or None."""
    for name, entry_point in find_plugins("readers").items():
        try:
            read: Reader | None = plugin("readers", name)
        except PluginError as error:
            tell(str(error)) if tell else warnings.warn(str(error), stacklevel=2)
            continue
        assert read
        with blaming(entry_point, f"cannot read {file.path}"):
            docs = read(file, how, tell)
        if docs:
            return docs
        if docs is not None:
            what = f"no {'conversations' if how.chat else 'texts'} in {file.path}"
            raise DataError(f"{package(entry_point)} found {what}; use another file")
    if how.column is not None:
        return load_column(file, how.column, tell=tell)
    if not how.chat and how.separator is None and how.text != "stream":
        check_is_text(file)
    return None


def _blocks(file: TextFile, separator: str) -> list[str]:
    """Return the stripped texts between separator lines, such as %, or between blank lines."""
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


def bundled(name: str) -> Path:
    """Return the path of a bundled file or directory; raise DataError if it does not exist."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[3]
    for folder in (package / "_data", checkout / "data", checkout / "examples"):
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{name} is not bundled with microgpt")
