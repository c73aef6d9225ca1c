"""Parse conversations and test items; docs/reference/data.md describes the formats."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from microgpt.data.csv_and_json import NOT_TEXT, Records, is_named_table, listed, read_records
from microgpt.data.message_formats import question_in, turns_in
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import IGNORED_ROLES, ROLES, Conversation, Message, as_conversation
from microgpt.data.transcript import N_HEAD, conversations, is_transcript
from microgpt.errors import DataError
from microgpt.formatting import count, printable
from microgpt.plugins import Tell

WORDINGS = "wordings"  # column with alternative wordings of a question, separated by |


@dataclass(frozen=True)
class Item:
    """A reply to be scored by exact match."""

    task: str  # category under which the score is reported
    conversation: Conversation
    place: int  # index of the reply in the conversation
    line: int  # number of the line, item or conversation that contains the reply
    unit: str = "line"  # unit of `line`: "line", "item" of an array, or "conversation" of an export
    also: tuple[str, ...] = ()  # alternative correct replies

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


def conversation_records(file: TextFile) -> Records:
    """Return the records of a file with conversations; raise DataError if it contains none."""
    if is_transcript(islice(file, N_HEAD)):
        return Records(enumerate(conversations(file), 1), "conversation")
    records = read_records(file, "conversation")
    if records.columns is None:
        return records
    if records.has_questions:
        return records._replace(values=_with_wordings(records.values))
    if is_named_table(file.path) and len(records.columns) > 1:
        problem = f"has the columns {listed(records.columns)}; name two of them question and answer"
        raise DataError(f"{file.path} {problem}")
    raise DataError(
        f"{file.path} has no conversations; use JSONL, one conversation per line, such as "
        '{"prompt": "hi", "completion": "hello"}, a table with the columns question and '
        "answer, or an exported chat (read by the package microgpt-chat-exports)"
    )


def _with_wordings(rows: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """Yield each row of a table, followed by a row for each alternative wording of its question."""
    for number, row in rows:
        yield number, row
        for text in ({k.lower(): v for k, v in row.items()}.get(WORDINGS) or "").split("|"):
            if text.strip():
                _, answer = question_in(row) or ("", "")
                yield number, {"question": text.strip(), "answer": answer}


def parse_conversations(path: Path, records: Records, tell: Tell | None) -> ChatTestSet:
    """Return the conversations, with an `Item` for each reply that has a `task`."""
    tests = ChatTestSet([], [])
    n_ignored, unanswered = 0, list[str]()
    for number, value in records.values:
        where = f"{path}, {records.unit} {number}"
        turns = _turns(value, where)
        kept = [
            one for one in turns if not (isinstance(one, dict) and one["role"] in IGNORED_ROLES)
        ]
        n_ignored += len(turns) - len(kept)
        if not kept:
            continue
        conversation = as_conversation(f"{where}: messages", kept)
        _check(conversation, where)
        tasks = [*_tasks(kept, where)]
        if conversation[-1].role == "user":
            conversation = conversation[:-1]
            unanswered.append(f"{records.unit} {number}")
        if conversation:
            found = (Item(task, conversation, i, number, records.unit) for i, task in tasks)
            tests.conversations.append(conversation)
            tests.items.extend(found)
    if not tests.conversations:
        empty = "is empty; write one conversation per line, or columns question and answer"
        raise DataError(f"{path} {'has no full exchange; add answers' if unanswered else empty}")
    if n_ignored and tell:
        tell(f"left out {n_ignored:,} system messages: the model has no role for them")
    if unanswered and tell:
        exchanges = count(len(unanswered), "exchange")
        tell(f"left out {exchanges} without question or answer; the first is in {unanswered[0]}")
    return tests


def _turns(value: Any, where: str) -> Sequence[Any]:
    """Return the messages of a conversation; raise DataError if its format is not supported."""
    if isinstance(value, Exception):
        remedy = "write one conversation per line, or export the chat again"
        raise DataError(f"{where}: not JSON: {value}; {remedy}")
    if isinstance(value, list | tuple) and value and isinstance(value[0], Message):
        return value  # messages from a plug-in need no conversion
    if (turns := turns_in(value)) is None:
        remedy = "use prompt and completion, role and content (OpenAI) or conversations (ShareGPT)"
        raise DataError(f"{where}: not a conversation: {printable(repr(value), 80)}; {remedy}")
    return turns


def _check(conversation: Conversation, where: str) -> None:
    """Raise DataError if the roles do not alternate, or a message is empty or not text."""
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
    """Yield the index and the task of each reply that has a task."""
    for i, turn in enumerate(turns):
        task = turn.get("task") if isinstance(turn, dict) else None
        if i % 2 and task is not None:
            if not isinstance(task, str) or not task.strip():
                problem = f".task: must be a non-empty string, got {task!r:.80}"
                raise DataError(f"{where}: messages[{i}]{problem}")
            yield i, task
