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

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

from pydantic import (
    BeforeValidator,
    ConfigDict,
    FailFast,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError, from_json, to_json

from microgpt.amounts import count
from microgpt.compilation import Tell
from microgpt.data.column_file import PAIRS, whole_value
from microgpt.data.read_options import ReadOptions
from microgpt.data.readers import read_by_kind
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import IGNORED_ROLES, ROLES, Conversation, Message
from microgpt.error_format import first_problem
from microgpt.errors import DataError
from microgpt.plugins import find_plugins
from microgpt.printable_text import printable

SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}

_Conversations = Iterator[tuple[str, int, Sequence[Message]]]


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
    n_unanswered = n_without_reply = 0
    ignored: Counter[str] = Counter()
    found = read_by_kind(file, ReadOptions(chat=True, me=me), tell)
    if me is not None and not file.is_chat_export:
        problem = "is not an exported chat between people; omit --me"
        raise DataError(f"{file.path} {problem}{_missing_package()}")
    numbered = _parsed(file, ignored)
    if found is not None:
        conversations = enumerate(cast("Sequence[Conversation]", found), start=1)
        numbered = (("conversation", number, turns) for number, turns in conversations)
    for unit, number, turns in numbered:
        _check_order(turns, f"{file.path}, {unit} {number}")
        if turns[-1].role == "user":
            n_unanswered += 1
            turns = turns[:-1]
        if not turns:
            n_without_reply += 1
            continue
        conversation = tuple(Message(turn.role, turn.content) for turn in turns)
        tests.conversations.append(conversation)
        tests.items.extend(
            Item(str(turn.task), conversation, place, number, unit)
            for place, turn in enumerate(turns)
            if isinstance(turn, _Turn) and turn.role == "assistant" and turn.task is not None
        )
    if not tests.conversations:
        problem = "has no assistant reply" if n_without_reply else "is empty"
        raise DataError(f"{file.path} {problem}; write one conversation per line")
    if ignored and tell:
        tell(f"left out {ignored.total():,} system messages: the model has no role for them")
    if n_unanswered and tell:
        note = f"left out {count(n_unanswered, 'final user message')} without a reply"
        others = f", and {count(n_without_reply, 'conversation')} with no reply"
        tell(note + (others if n_without_reply else ""))
    return tests


def _missing_package() -> str:
    """Return what to add to an error that names exported chats, if no package reads them."""
    if "chat_exports" in find_plugins("readers"):
        return ""
    return " (exported chats require the package microgpt-chat-exports)"


@dataclass(frozen=True)
class _Turn(Message):
    """A message in the file; the `task` of a user message is ignored."""

    task: object = None


def _parsed(file: TextFile, ignored: Counter[str]) -> _Conversations:
    """Yield the messages of each line or JSON value; count in `ignored` those of the system.

    Raises:
        DataError: the file is not JSON, or a conversation has another format.
    """
    for unit, number, text in _json_texts(file):
        try:
            yield unit, number, _TURNS.validate_json(text, context=ignored)
        except ValidationError as error:
            problem = first_problem(error, root="messages")
            problem = problem.replace("at line 1 column", "at column")
            raise DataError(f"{file.path}, {unit} {number}: {problem}") from error


def _json_texts(file: TextFile) -> Iterator[tuple[str, int, str | bytes]]:
    """Yield the unit of each conversation (see `Item`), its number, and its JSON."""
    lines = [*file]
    first = next(filter(str.strip, lines), "").strip()
    if first and first[0] not in "[{":
        raise DataError(
            f"{file.path} has no conversations; use JSONL, one conversation per line, such as "
            '{"prompt": "hi", "completion": "hello"}, a table with the columns question and '
            f"answer, or an exported chat{_missing_package()}"
        )
    if found := whole_value(lines):
        unit, values = found
        yield from ((unit, number, to_json(each)) for number, each in enumerate(values, 1))
        return
    text = "\n".join(lines)
    if first.endswith(("[", "{", ",")) and text.strip() != first:  # a value in several lines
        try:
            from_json(text)
        except ValueError as error:
            raise DataError(
                f"{file.path} is neither JSONL nor a JSON array: {error}; write one conversation "
                "per line, or export the chat again"
            ) from error
    yield from (("line", number, line) for number, line in enumerate(lines, 1) if line.strip())


def _messages(value: object, info: ValidationInfo) -> object:
    """Convert any format to a list of messages; count ignored messages in `info.context`."""
    if isinstance(value, dict):
        if "messages" in value:
            value = value["messages"]
        elif "conversations" in value:
            turns = value["conversations"]
            value = [_from_sharegpt(turn) for turn in turns] if isinstance(turns, list) else turns
        elif names := next((pair for pair in PAIRS if value.keys() >= {*pair}), None):
            texts = (value[name] for name in names)
            pairs = zip(ROLES, texts, strict=True)
            value = [{"role": role, "content": text} for role, text in pairs]
        else:
            raise _other_fields(value)
    elif isinstance(value, list):
        first = value[0] if value else None
        if isinstance(first, dict) and not {"role", "content"} & first.keys():
            raise _other_fields(first)  # the line is an array of records
    if isinstance(value, list):
        assert info.context is not None
        info.context.update(one["role"] for one in value if _is_ignored(one))
        value = [one for one in value if not _is_ignored(one)]
    return value


def _other_fields(found: dict[str, object]) -> PydanticCustomError:
    return PydanticCustomError(
        "fields",
        "not a conversation (fields: {names}); use prompt and completion, messages (OpenAI) or "
        "conversations (ShareGPT)",
        {"names": printable(", ".join(found)) or "none"},
    )


def _from_sharegpt(turn: object) -> object:
    if not isinstance(turn, dict):
        return turn
    role = turn.get("from")
    return {"role": SHAREGPT_ROLES.get(str(role), role), "content": turn.get("value")}


def _is_ignored(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") in IGNORED_ROLES


_TURNS: TypeAdapter[tuple[_Turn, ...]] = TypeAdapter(
    Annotated[tuple[_Turn, ...], FailFast(), BeforeValidator(_messages)],  # all errors need memory
    config=ConfigDict(defer_build=True),
)


def _check_order(turns: Sequence[Message], where: str) -> None:
    if not turns:
        raise DataError(f"{where}: the conversation is empty")
    for i, turn in enumerate(turns):
        if wrong := _problem(turn, i):
            raise DataError(f"{where}: messages[{i}]{wrong}")


def _problem(turn: Message, i: int) -> str | None:
    """Return the problem with message i, or None if the message is valid."""
    if turn.role != ROLES[i % 2]:
        if i == 0:
            return ": a conversation must start with a user message; remove this message"
        return f": two {turn.role} messages in a row; merge them or remove one"
    if not turn.content.strip():
        return ": content must not be empty"
    if "\0" in turn.content:
        return ".content has the character '\\x00', which is not text; remove it"
    task = turn.task if isinstance(turn, _Turn) else None
    is_named = isinstance(task, str) and task.strip()
    if turn.role == "assistant" and task is not None and not is_named:
        return f".task: must be a non-empty string, got {task!r:.80}"
    return None
