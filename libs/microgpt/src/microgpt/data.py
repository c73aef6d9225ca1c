"""Documents from files: texts, a line each, and conversations, a JSON line each.

Whatever is wrong with a file is said with its name and line. The files that come with microgpt are
found by `bundled`. This module knows nothing of tokens or training.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from microgpt.errors import DataError
from microgpt.tokenizer import Conversation, Document, Message
from microgpt.validation import first_problem


def load_text(path: str | Path) -> list[str]:
    """Return the lines of a UTF-8 text file, stripped; empty ones are left out.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or has no text in it.
    """
    docs = [line.strip() for line in _read(Path(path)).split("\n")]
    docs = [doc for doc in docs if doc]
    if not docs:
        raise DataError(f"{path} is empty; it needs one document a line")
    return docs


def load_conversations(path: str | Path) -> list[Conversation]:
    """Return the conversations of a JSONL file.

    Each line is a list of {"role": "user" or "assistant", "content": text}, or an object with such
    a list as "messages". Other fields are ignored, blank lines left out.

    Raises:
        DataError: the file cannot be read or has no conversation; or a line is no such list, with
            the number of the line.
    """
    conversations = [
        _parse_conversation(line, where=f"{path}, line {number}")
        for number, line in enumerate(_read(Path(path)).split("\n"), start=1)
        if line.strip()
    ]
    if not conversations:
        raise DataError(f"{path} is empty; it needs one conversation a line")
    return conversations


def bundled(name: str) -> Path:
    """Return the path of a file that comes with microgpt, in a checkout or an installation.

    Raises:
        DataError: there is no such file.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "_data", here.parents[4] / "data"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{name} does not come with microgpt")


def fingerprint(docs: Sequence[Document]) -> str:
    """Return the sha256 of all documents, in order, each followed by a newline.

    A text counts as its UTF-8 bytes, a conversation as those of [[role, content], …] in JSON.
    """
    lines = "\n".join([doc if isinstance(doc, str) else _as_json(doc) for doc in docs]) + "\n"
    return hashlib.sha256(lines.encode(errors="surrogatepass")).hexdigest()


def _as_json(conversation: Sequence[Message]) -> str:
    pairs = [[message.role, message.content] for message in conversation]
    return json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8 text: line {line} has the byte 0x{error.object[error.start]:02x};"
            " save it as UTF-8"
        ) from error


def _parse_conversation(line: str, where: str) -> Conversation:
    try:
        return _CONVERSATION.validate_json(line)
    except ValidationError as error:
        problem = first_problem(error, root="messages").replace("at line 1 column", "at column")
        raise DataError(f"{where}: {problem}") from error


def _unwrap(value: object) -> object:
    return value["messages"] if isinstance(value, dict) and "messages" in value else value


def _check(conversation: Conversation) -> Conversation:
    if not conversation:
        raise PydanticCustomError("empty", "an empty conversation")
    for i, message in enumerate(conversation):
        if not message.content.strip():
            raise PydanticCustomError("empty", f"messages[{i}]: content must not be empty")
    return conversation


_CONVERSATION: TypeAdapter[Conversation] = TypeAdapter(
    Annotated[Conversation, BeforeValidator(_unwrap), AfterValidator(_check)]
)
