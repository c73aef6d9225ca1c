"""Read conversations and test items from a file with one conversation per line.

    [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    {"messages": […]}                                       the same list, in OpenAI's format
    {"prompt": "hi", "completion": "hello"}
    {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]}

The last format is ShareGPT's. A file may also be a JSON array of such objects, as ShareGPT files
usually are. Error messages contain the file, the line and the index of the message.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, ValidationError, ValidationInfo

from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import IGNORED_ROLES, ROLES, Conversation, Message
from microgpt.error_format import first_problem
from microgpt.errors import DataError

SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}


@dataclass(frozen=True)
class Item:
    """A reply to be scored by exact match."""

    task: str  # category under which the score is reported
    conversation: Conversation
    place: int  # index of the reply in the conversation
    line: int  # line number of the conversation in the file

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
    """Conversations and the replies in them to be scored."""

    conversations: list[Conversation]
    items: list[Item]


def load_chat_tests(
    path: str | Path | TextFile, *, tell: Callable[[str], None] | None = None
) -> ChatTestSet:
    """Load the conversations of a file. Each reply that has a `task` becomes an item.

    See `microgpt.data.documents.load_conversations` for the arguments and errors.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    tests = ChatTestSet([], [])
    n_unanswered = n_without_reply = 0
    system_messages: list[object] = []
    for number, line in _lines(file):
        if not line.strip():
            continue
        turns = _parse(line, f"{file.path}, line {number}", system_messages)
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
    if system_messages and tell:
        tell(f"left out {len(system_messages):,} system messages: the model has no role for them")
    if n_unanswered and tell:
        tell(_left_out_note(n_unanswered, n_without_reply))
    return tests


@dataclass(frozen=True)
class _Turn(Message):
    """A message in the file; the `task` of a user message is ignored."""

    task: object = None


def _lines(file: TextFile) -> Iterator[tuple[int, str]]:
    """Yield the line number (or the position in a JSON array) and the JSON of each conversation."""
    lines = iter(file)
    first = next(lines, "")
    if not _starts_array(first):
        yield from enumerate(chain([first], lines), start=1)
        return
    try:
        values = json.loads("\n".join([first, *lines]))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file.path} is neither JSONL nor a JSON array: {error}") from error
    for number, value in enumerate(values, start=1):
        yield number, json.dumps(value)


def _starts_array(line: str) -> bool:
    """Return whether the line begins a JSON array of conversations, not a list of messages."""
    if not line.lstrip().startswith("["):
        return False
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return line.strip() == "["
    formats = {"messages", "conversations", "completion"}
    return all(isinstance(value, dict) and formats & value.keys() for value in values)


def _messages(value: object, info: ValidationInfo) -> object:
    """Convert any format to a list of messages; move system messages to `info.context`."""
    if isinstance(value, dict):
        if "messages" in value:
            value = value["messages"]
        elif isinstance(turns := value.get("conversations"), list):
            value = [_from_sharegpt(turn) for turn in turns]
        elif {"prompt", "completion"} <= value.keys():
            texts = (value["prompt"], value["completion"])
            pairs = zip(ROLES, texts, strict=True)
            value = [{"role": role, "content": text} for role, text in pairs]
    if isinstance(value, list):
        ignored = [one for one in value if isinstance(one, dict) and _is_ignored(one)]
        assert info.context is not None
        info.context.extend(ignored)
        value = [one for one in value if one not in ignored] if ignored else value
    return value


def _from_sharegpt(turn: object) -> object:
    if not isinstance(turn, dict):
        return turn
    role = turn.get("from")
    return {"role": SHAREGPT_ROLES.get(str(role), role), "content": turn.get("value")}


def _is_ignored(message: dict[str, object]) -> bool:
    return message.get("role") in IGNORED_ROLES


_TURNS: TypeAdapter[tuple[_Turn, ...]] = TypeAdapter(
    Annotated[tuple[_Turn, ...], BeforeValidator(_messages)]
)


def _parse(line: str, where: str, system_messages: list[object]) -> Sequence[_Turn]:
    """Parse one or more messages with alternating roles; raise DataError if they are invalid."""
    try:
        turns = _TURNS.validate_json(line, context=system_messages)
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
    """Return the problem with message i, or None if the message is valid."""
    if turn.role != ROLES[i % 2]:
        if i == 0:
            return ": a conversation must start with a user message; remove this message"
        return f": two {turn.role} messages in a row; merge them or remove one"
    if not turn.content.strip():
        return ": content must not be empty"
    is_named = isinstance(turn.task, str) and turn.task.strip()
    if turn.role == "assistant" and turn.task is not None and not is_named:
        return f".task: must be a non-empty string, got {turn.task!r:.80}"
    return None


def _left_out_note(n: int, n_without_reply: int) -> str:
    """Return a message about the omitted final user messages."""
    note = f"left out {n:,} final user message{'s' * (n > 1)} without a reply"
    if n_without_reply:
        note += f", and {n_without_reply:,} conversation{'s' * (n_without_reply > 1)} with no reply"
    return note
