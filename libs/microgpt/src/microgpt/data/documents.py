"""Load documents from files: lines, running text, records, tables, folders or conversations.

A reader returns the documents of a file that it recognises, and None for any other file. Readers
are tried until one recognises the file: first the folder reader, then the plug-ins in the group
`microgpt.readers` (see docs/plugins.md), then the readers of the library. With `chat`, only
plug-ins are tried, even for folders; `conversation_file` reads files that no plug-in recognises.
"""

import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import cast

from microgpt.data.conversation_file import ChatTestSet, conversation_records, parse_conversations
from microgpt.data.csv_and_json import Records, read_table
from microgpt.data.folder import read_folder
from microgpt.data.multiline import BLANK, read_multiline
from microgpt.data.other_formats import refuse_markup
from microgpt.data.statistics import MAX_LINES, is_running_text
from microgpt.data.text_file import ReadOptions, TextFile
from microgpt.data.tokenizer import Conversation, Documents
from microgpt.data.transcript import refuse_transcript
from microgpt.errors import DataError
from microgpt.formatting import count
from microgpt.plugins import PluginError, Tell, blaming, find_plugins, package, plugin

FEW, LONG_LINE = 3, 1_000  # fewer documents cause a note; a longer single line is running text
DEMO_MODEL = "models/chat"  # bundled assistant, used if the user has no model

# A reader returns conversations if `chat` is set, and None if it does not recognise the file. It
# can set the file's `kind`, `otherwise`, `is_chat_export` and `is_in_order`.
Reader = Callable[[TextFile, ReadOptions, Tell | None], Documents | None]


def load_documents(
    path: str | Path | TextFile, how: ReadOptions, *, tell: Tell | None = None
) -> Documents:
    """Return the documents of a file, or a string if the file is running text."""
    if how.chat:
        return load_conversations(path, me=how.me, tell=tell)
    file = TextFile.at(path)
    docs = read_by_kind(file, how, tell)
    if docs is None:
        docs = _lines_or_text(file, how)
    if not docs or (isinstance(docs, str) and docs.isspace()):
        raise DataError(f"{file.path} has no text; use another file")
    if tell and how.text is None:
        if file.kind != "line":
            what = f": {count(len(docs), 'document')}, each a {file.kind}"
            if isinstance(docs, str):
                what = f" as running text of {count(len(docs), 'character')}"
            otherwise = f" ({file.otherwise})" if file.otherwise else ""
            tell(f"reading {file.path}{what}{otherwise}")
        if not isinstance(docs, str) and len(docs) < FEW:
            learned = "a model can only repeat them, and nothing can be held out to measure it"
            tell(f"{file.path} has only {count(len(docs), 'document')}: {learned}; add more")
    return docs


def _lines_or_text(file: TextFile, how: ReadOptions) -> list[str] | str:
    """Return the lines of a file, or a single string if the file is running text."""
    is_stream = how.text == "stream"
    head = [*islice(file, MAX_LINES)]
    if how.text is None and how.separator is None:
        is_long = len(head) == 1 and len(head[0]) > LONG_LINE
        is_stream = is_long or is_running_text(head)
    if is_stream:
        file.kind = "running text"
        others = f"--separator {BLANK}: each paragraph"
        file.otherwise = f"--text lines: each line is a document; {others}"
        return "\n".join(file)
    n_tabs = {line.rstrip().count("\t") for line in head if line.strip()}
    if len(n_tabs) == 1 and any(n_tabs):
        file.kind = "row of a table with tabs"
        file.otherwise = "--column: one of its columns, by name or number"
    return [doc for line in file if (doc := line.strip())]


def load_text(
    path: str | Path | TextFile, *, column: str | None = None, tell: Tell | None = None
) -> list[str]:
    """Return the non-empty lines of a UTF-8 text file, with surrounding white space removed.

    Args:
        column: table column or field of JSON objects to read, instead of lines.

    Raises:
        DataError: the file cannot be read, is not UTF-8, has no text, or is a table or JSON.
    """
    docs = load_documents(path, ReadOptions("lines", column), tell=tell)
    return [docs] if isinstance(docs, str) else cast("list[str]", docs)


def load_conversations(
    path: str | Path | TextFile, *, me: str | None = None, tell: Tell | None = None
) -> list[Conversation]:
    """Return the conversations of a file; docs/reference/data.md describes the formats.

    Each conversation begins with a user message, and the roles alternate. System messages and a
    final user message without a reply are omitted, and `tell` is called with a note.

    Args:
        me: name of the participant who is the assistant in an exported chat between people.

    Raises:
        DataError: the file cannot be read or has no conversation, or a line is invalid.
    """
    return load_chat_tests(path, me=me, tell=tell).conversations


def load_chat_tests(
    path: str | Path | TextFile, *, me: str | None = None, tell: Tell | None = None
) -> ChatTestSet:
    """Return the conversations of a file, and an `Item` for each reply with a `task`."""
    file = TextFile.at(path)
    found = read_by_kind(file, ReadOptions(chat=True, me=me), tell)
    if me is not None and not file.is_chat_export:
        problem = "is not an exported chat between people"
        raise DataError(
            f"{file.path} {problem} (read by the package microgpt-chat-exports); omit --me"
        )
    known = None if found is None else Records(enumerate(found, 1), "conversation")
    return parse_conversations(file.path, known or conversation_records(file), tell)


def read_by_kind(file: TextFile, how: ReadOptions, tell: Tell | None = None) -> Documents | None:
    """Return the documents from the first reader that recognises a file; None if none does."""
    if not how.chat and (docs := read_folder(file, how, tell)) is not None:
        return docs
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
    if how.chat:
        return None
    return next((docs for read in READERS if (docs := read(file, how, tell)) is not None), None)


def _read_markup(file: TextFile, how: ReadOptions, tell: Tell | None) -> None:
    """Raise DataError for mark-up, such as HTML, unless the options request its source text."""
    if how.text != "stream" and how.separator is None:
        refuse_markup("\n".join(islice(file, 20)), file.path)


# The library's readers, in the order in which they are tried, after folders and plug-ins.
READERS: tuple[Reader, ...] = (_read_markup, read_table, refuse_transcript, read_multiline)


def bundled(name: str) -> Path:
    """Return the path of a bundled file or directory; raise DataError if it does not exist."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[3]
    for folder in (package / "_data", checkout / "data", checkout / "examples"):
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{name} is not bundled with microgpt")
