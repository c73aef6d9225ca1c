"""Read conversations and test items from a file with one conversation per line.

    [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    {"messages": […]}                                       the same list, in OpenAI's format
    {"prompt": "hi", "completion": "hello"}                 or question and answer
    {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]}

The last format is ShareGPT's. A file may also be a JSON array of conversations, as
ShareGPT files usually are, or of a kind that a reader recognises (see `readers`), such as an
exported chat or a table of questions. Error messages contain the file, the line and the index of
the message.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt.amounts import count
from microgpt.compilation import Tell
from microgpt.data.column_file import (
    NOT_TEXT,
    PAIRS,
    TABLE_SUFFIXES,
    columns_of_questions,
    header,
    json_values,
    listed,
    table_rows,
)
from microgpt.data.read_options import ReadOptions
from microgpt.data.readers import read_by_kind
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import IGNORED_ROLES, ROLES, Conversation, as_conversation
from microgpt.errors import DataError
from microgpt.printable_text import printable

SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}

EXPORTS = "(read by the package microgpt-chat-exports)"


@dataclass(frozen=True)
class Item:
    """A reply to be scored by exact match."""

    task: str  # category under which the score is reported
    conversation: Conversation
    place: int  # index of the reply in the conversation
    line: int  # line number of the conversation in the file, or its position in the file
    unit: str = "line"  # "line", "item" in an array or "conversation" in an export

    @property
    def expected(self) -> str:
        """The correct reply."""
        return self.conversation[self.place].content

    @property
    def prompt(self) -> str:
        """The user message before the reply."""
        return self.conversation[self.place - 1].content


@dataclass(frozen=True)
class ChatTestSet:
    """Test conversations and the replies to score."""

    conversations: list[Conversation]
    items: list[Item]


def load_chat_tests(
    path: str | Path | TextFile, *, me: str | None = None, tell: Tell | None = None
) -> ChatTestSet:
    """Return the conversations of a file, with an `Item` for each reply that has a `task`.

    See `microgpt.data.documents.load_conversations` for the arguments and errors.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    tests = ChatTestSet([], [])
    n_ignored = n_unanswered = n_without_reply = 0
    unit, values = _values(file, me, tell)
    for number, value in values:
        where = f"{file.path}, {unit} {number}"
        turns = _turns(value, where)
        kept = [turn for turn in turns if not _is_ignored(turn)]
        n_ignored += len(turns) - len(kept)
        conversation = as_conversation(f"{where}: messages", kept)
        _check(conversation, where)
        tasks = [*_tasks(kept, where)]
        if conversation[-1].role == "user":
            n_unanswered, conversation = n_unanswered + 1, conversation[:-1]
        if not conversation:
            n_without_reply += 1
            continue
        tests.conversations.append(conversation)
        tests.items.extend(Item(task, conversation, i, number, unit) for i, task in tasks)
    if not tests.conversations:
        problem = "has no assistant reply" if n_without_reply else "is empty"
        raise DataError(f"{file.path} {problem}; write one conversation per line")
    if n_ignored and tell:
        tell(f"left out {n_ignored:,} system messages: the model has no role for them")
    if n_unanswered and tell:
        note = f"left out {count(n_unanswered, 'final user message')} without a reply"
        others = f", and {count(n_without_reply, 'conversation')} with no reply"
        tell(note + (others if n_without_reply else ""))
    return tests


def _values(
    file: TextFile, me: str | None, tell: Tell | None
) -> tuple[str, Iterable[tuple[int, object]]]:
    """Return the unit of a file's conversations (see `Item`), and each with its number.

    Raises:
        DataError: the file has no conversations.
    """
    found = read_by_kind(file, ReadOptions(chat=True, me=me), tell)
    if me is not None and not file.is_chat_export:
        problem = f"is not an exported chat between people {EXPORTS}; omit --me"
        raise DataError(f"{file.path} {problem}")
    if found is not None:
        return "conversation", enumerate(found, start=1)
    lines = [*file]
    first = next(filter(str.strip, lines), "").lstrip()
    if first[:1] in ("[", "{"):
        return json_values(lines)
    if not first:
        return "line", ()
    names = header(lines)
    if columns := columns_of_questions(names):
        return "line", _questions_and_answers(file.path, lines, columns)
    if file.path.suffix.lower() in TABLE_SUFFIXES and len(names) > 1:
        problem = f"has the columns {listed(names)}; name two of them question and answer"
        raise DataError(f"{file.path} {problem}")
    raise DataError(
        f"{file.path} has no conversations; use JSONL, one conversation per line, such as "
        '{"prompt": "hi", "completion": "hello"}, a table with the columns question and '
        f"answer, or an exported chat {EXPORTS}"
    )


def _questions_and_answers(
    path: Path, lines: Sequence[str], columns: tuple[str, str]
) -> Iterator[tuple[int, object]]:
    """Yield the line and the messages of each row of a table.

    Empty rows are omitted. A question without an answer, or the reverse, is a user message.
    """
    for number, row in table_rows(path, lines):
        if texts := [text for name in columns if (text := row[name].strip())]:
            pairs = zip(ROLES, texts, strict=False)
            yield number, [{"role": role, "content": text} for role, text in pairs]


def _turns(value: Any, where: str) -> Sequence[Any]:
    """Return the messages in a value of any format; see the module.

    Raises:
        DataError: the value is not JSON, or has no messages.
    """
    if isinstance(value, Exception):
        problem = re.sub(r"( at)?: line 1 column", " at column", str(value))
        remedy = "write one conversation per line, or export the chat again"
        raise DataError(f"{where}: not JSON: {problem}; {remedy}")
    found = value
    if isinstance(value, dict):
        found = value.get("messages", value.get("conversations", value))
        if pair := next((pair for pair in PAIRS if value.keys() >= {*pair}), None):
            pairs = zip(ROLES, pair, strict=True)
            found = [{"role": role, "content": value[name]} for role, name in pairs]
    if not isinstance(found, dict | list | tuple):
        raise DataError(f"{where}: messages must be a list, got {found!r:.80}")
    first = found if isinstance(found, dict) else next(iter(found), None)
    if isinstance(first, dict) and (first is found or not {"role", "content", "from"} & {*first}):
        names = printable(", ".join(first)) or "none"
        raise DataError(
            f"{where}: not a conversation (fields: {names}); use prompt and completion, messages "
            "(OpenAI) or conversations (ShareGPT)"
        )
    return [_from_sharegpt(turn) for turn in found]


def _from_sharegpt(turn: Any) -> Any:
    """Return a message of ShareGPT in OpenAI's format, and others as they are."""
    if not isinstance(turn, dict) or "from" not in turn:
        return turn
    role = turn["from"]
    return {"role": SHAREGPT_ROLES.get(str(role), role), "content": turn.get("value")}


def _is_ignored(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.get("role") in IGNORED_ROLES


def _check(conversation: Conversation, where: str) -> None:
    """Raise DataError if a conversation has no messages, a wrong order or messages without text."""
    if not conversation:
        raise DataError(f"{where}: the conversation is empty")
    for i, message in enumerate(conversation):
        problem = ""
        if message.role != ROLES[i % 2]:
            problem = f"two {message.role} messages in a row; merge them or remove one"
            if i == 0:
                problem = "a conversation must start with a user message; remove this message"
        elif not message.content.strip():
            problem = "content must not be empty"
        elif bad := NOT_TEXT.search(message.content):
            problem = f"content has the character {bad[0]!r}, which is not text; remove it"
        if problem:
            raise DataError(f"{where}: messages[{i}]: {problem}")


def _tasks(turns: Sequence[Any], where: str) -> Iterator[tuple[int, str]]:
    """Yield the index and the task of each reply that has one."""
    for i, turn in enumerate(turns):
        if i % 2 and isinstance(turn, dict) and (task := turn.get("task")) is not None:
            if not isinstance(task, str) or not task.strip():
                problem = f".task: must be a non-empty string, got {task!r:.80}"
                raise DataError(f"{where}: messages[{i}]{problem}")
            yield i, task
