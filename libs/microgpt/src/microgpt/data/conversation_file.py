"""Read conversations and scored replies from a JSONL file, one conversation per line.

Errors name the file, the line and the message.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import ROLES, Conversation, Message
from microgpt.error_format import first_problem
from microgpt.errors import DataError


@dataclass(frozen=True)
class Item:
    """A reply to score by exact match."""

    task: str  # the category of its score
    conversation: Conversation
    place: int  # of the reply in the conversation
    line: int  # of the conversation in its file

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
    """Conversations and their scored replies."""

    conversations: list[Conversation]
    items: list[Item]


def load_chat_tests(
    path: str | Path | TextFile, *, tell: Callable[[str], None] | None = None
) -> ChatTestSet:
    """Return the conversations of a JSONL file, and each reply that has a `task`.

    See `microgpt.data.documents.load_conversations`, which returns only the conversations.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    tests = ChatTestSet([], [])
    n_unanswered = n_without_reply = 0
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        turns = _parse(line, where=f"{file.path}, line {number}")
        if turns[-1].role == "user":
            n_unanswered += 1
            turns = turns[:-1]
        if not turns:
            n_without_reply += 1
            continue
        conversation = tuple(Message(turn.role, turn.content) for turn in turns)
        tests.conversations.append(conversation)
        tests.items.extend(
            Item(str(turn.task), conversation, place, number)
            for place, turn in enumerate(turns)
            if turn.role == "assistant" and turn.task is not None
        )
    if not tests.conversations:
        problem = "has no assistant reply" if n_without_reply else "is empty"
        raise DataError(f"{file.path} {problem}; write one conversation per line")
    if n_unanswered and tell:
        tell(_left_out_note(n_unanswered, n_without_reply))
    return tests


@dataclass(frozen=True)
class _Turn(Message):
    """A message in the file; `task` is ignored on user messages."""

    task: object = None


def _unwrap(value: object) -> object:
    return value["messages"] if isinstance(value, dict) and "messages" in value else value


_TURNS: TypeAdapter[tuple[_Turn, ...]] = TypeAdapter(
    Annotated[tuple[_Turn, ...], BeforeValidator(_unwrap)]
)


def _parse(line: str, where: str) -> Sequence[_Turn]:
    """Return the messages of a line: one or more, with alternating roles."""
    try:
        turns = _TURNS.validate_json(line)
    except ValidationError as error:
        problem = first_problem(error, root="messages").replace("at line 1 column", "at column")
        raise DataError(f"{where}: {problem}") from error
    if not turns:
        raise DataError(f"{where}: the conversation is empty")
    for i, turn in enumerate(turns):
        if wrong := _problem(turn, i):
            raise DataError(f"{where}: messages[{i}]{wrong}")
    return turns


def _problem(turn: _Turn, i: int) -> str | None:
    """Return the error of message i, if any."""
    if turn.role != ROLES[i % 2]:
        if i == 0:
            return ": a conversation must start with a user message; remove this one"
        return f": two {turn.role} messages in a row; merge them or remove one"
    if not turn.content.strip():
        return ": content must not be empty"
    is_named = isinstance(turn.task, str) and turn.task.strip()
    if turn.role == "assistant" and turn.task is not None and not is_named:
        return f".task: must be a non-empty string, got {turn.task!r:.80}"
    return None


def _left_out_note(n: int, n_without_reply: int) -> str:
    """Return the note about unanswered messages that were left out."""
    note = f"left out {n:,} final user message{'s' * (n > 1)} without a reply"
    if n_without_reply:
        note += f", {n_without_reply:,} of them a whole conversation"
    return note
