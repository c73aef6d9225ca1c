"""Generate conversations of one or more exchanges that fit into a small context.

The same split and seed give the same conversations on any Python version.
"""

import json
import string
from collections.abc import Callable, Iterator, Sequence

from microgpt.data.tokenizer import Conversation, Message
from microgpt.errors import ConfigError
from microgpt.synthetic_chat.draw import ChatSplit, Draw, Exchange
from microgpt.synthetic_chat.tasks import (
    addition,
    ask_untold,
    capitals,
    comparison,
    days,
    length,
    letters,
    months,
    opposites,
    outside,
    reversing,
    small_talk,
    spelling,
    subtraction,
    tell_and_ask,
)

ALPHABET = " !'+,-.?" + string.digits + string.ascii_lowercase
MAX_TOKENS = 120  # maximum number of tokens per conversation; leaves room in a context of 128
MAX_PROMPT = 96  # maximum prompt length in a context of 128 (`microgpt.data.chat_truncation`)

MEMORY = 0.15  # fraction of conversations that state a fact and ask for it later
AT_ONCE = 0.25  # fraction of these conversations that ask for the fact in the next message
LENGTHS = (1, 1, 1, 1, 2, 2, 3, 4)  # numbers of exchanges in other conversations, drawn at random

Task = Callable[[Draw], Exchange]

_WITH_FILLERS: Sequence[Task] = (
    addition, subtraction, spelling, reversing, length, letters, comparison, outside,
)  # fmt: skip
_MEMORISED: Sequence[Task] = (*(small_talk,) * 2, days, months, opposites, capitals)
# Harder tasks, especially arithmetic, are more frequent because they need more examples.
_TRAINING_TASKS: Sequence[Task] = (
    *_WITH_FILLERS, *_MEMORISED, *(addition,) * 7, *(subtraction,) * 6, *(comparison,) * 2,
    spelling, *(reversing,) * 3, length, outside,
)  # fmt: skip


def conversations(split: ChatSplit, n: int, seed: int) -> Iterator[list[Exchange]]:
    """Return an iterator over n random conversations.

    Args:
        split: "train"; "heldout", with words, names, number pairs and prompts that "train" never
            contains, for any seed; or "wordings", with wordings that "train" never contains.
        seed: random seed, at least 0.

    Raises:
        ConfigError: n or seed is out of range.
    """
    if n < 1:
        raise ConfigError(f"conversations must be >= 1, got {n}")
    if seed < 0:
        raise ConfigError(f"seed must be >= 0, got {seed}")
    draw = Draw(split, seed)
    return (_conversation(draw) for _ in range(n))


def messages(conversation: Sequence[Exchange]) -> Conversation:
    """Convert exchanges to a `Conversation`."""
    return tuple(
        message
        for exchange in conversation
        for message in (Message("user", exchange.prompt), Message("assistant", exchange.reply))
    )


def json_line(conversation: Sequence[Exchange]) -> str:
    """Encode a conversation as one line of JSON, without a trailing newline."""
    turns: list[dict[str, str]] = []
    for exchange in conversation:
        task = {"task": exchange.task} if exchange.task else {}
        turns.append({"role": "user", "content": exchange.prompt})
        turns.append({"role": "assistant", "content": exchange.reply, **task})
    return json.dumps(turns)


def _conversation(draw: Draw) -> list[Exchange]:
    """Draw conversations until one fits into the context."""
    while True:
        exchanges = _memory_conversation(draw) if draw.chance(MEMORY) else _independent(draw)
        n_tokens = 2 + sum(map(_n_tokens, exchanges))  # includes BOS at both ends
        if n_tokens <= MAX_TOKENS and n_tokens - len(exchanges[-1].reply) - 2 <= MAX_PROMPT:
            return exchanges


def _memory_conversation(draw: Draw) -> list[Exchange]:
    telling, asking = tell_and_ask(draw)
    return [telling, *([] if draw.chance(AT_ONCE) else [draw.pick(_tasks(draw))(draw)]), asking]


def _independent(draw: Draw) -> list[Exchange]:
    tasks = _tasks(draw)
    if draw.split != "heldout":  # ask_untold has no held-out fillers
        tasks = (*tasks, ask_untold)
    return [draw.pick(tasks)(draw) for _ in range(draw.pick(LENGTHS))]


def _tasks(draw: Draw) -> Sequence[Task]:
    """Return the tasks of a split; "heldout" excludes memorised facts, which have no fillers."""
    if draw.split == "train":
        return _TRAINING_TASKS
    return _WITH_FILLERS if draw.split == "heldout" else (*_WITH_FILLERS, *_MEMORISED)


def _n_tokens(exchange: Exchange) -> int:
    """Return the number of tokens of both messages: characters, roles and end tokens."""
    return len(exchange.prompt) + len(exchange.reply) + 4
