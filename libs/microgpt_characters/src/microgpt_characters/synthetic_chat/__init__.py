"""Generate synthetic conversations with correct answers from a small grammar.

A conversation has one or more exchanges, and fits into a small context. The same split and seed
give the same conversations on any Python version. phrases.toml contains the phrases, and `tasks`
draws exchanges.
"""

import json
import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial

from microgpt import ConfigError, Conversation, Message
from microgpt_characters.synthetic_chat import tasks
from microgpt_characters.synthetic_chat.draw import ChatSplit, Draw, Exchange

ALPHABET = " !\"%&'()*+,-./:;=?×÷" + string.digits + string.ascii_lowercase
MAX_TOKENS = 240  # maximum number of tokens per conversation; leaves room in a context of 256
MAX_PROMPT = 190  # maximum prompt length in a context of 256 (`microgpt.data.context`)

MEMORY = 0.12  # fraction of conversations that state a fact and ask for it later
BOTH = 0.25  # fraction of these conversations that state a name and a color
UNTOLD = 0.2  # fraction of questions about the other fact
TWO = 0.22  # fraction of messages with two questions
MOST_BASICS = 6  # maximum number of exchanges in a conversation of "basics"
LENGTHS = (1, 1, 1, 1, 2, 2, 3, 4)  # possible numbers of exchanges in all other conversations

Task = Callable[[Draw], Exchange]

# Shares of the tasks. Arithmetic and words are more frequent because they need more examples.
_WITH_FILLERS: Mapping[Task, int] = {
    tasks.addition: 11, tasks.subtraction: 14, tasks.comparison: 6,
    tasks.spelling: 7, tasks.reversing: 8, tasks.length: 5, tasks.letters: 8,
}  # fmt: skip
_MEMORISED: Mapping[Task, int] = {
    tasks.multiplication: 3, tasks.days: 3, tasks.months: 3, tasks.opposites: 2, tasks.capitals: 2
}  # fmt: skip
_OTHERS: Mapping[Task, int] = {tasks.outside: 24, tasks.small_talk: 6, tasks.memory: 1}


def _repeated(*shares: Mapping[Task, int]) -> Sequence[Task]:
    return [task for part in shares for task, n in part.items() for _ in range(n)]


_TRAINING_TASKS = _repeated(_WITH_FILLERS, _MEMORISED, _OTHERS)
_BASICS = _repeated(
    _WITH_FILLERS, dict.fromkeys(_MEMORISED, 1), {tasks.multiplication: 1, tasks.outside: 6}
)


def conversations(split: ChatSplit, n: int, seed: int) -> Iterator[list[Exchange]]:
    """Return an iterator over n random conversations.

    Args:
        split: "train"; "basics", with short questions in the first wording of each task, for a
            first training run; "heldout", with words, names, number pairs and prompts that "train"
            never contains, for any seed; or "wordings", with wordings that "train" never contains.
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


def lessons(n: int, seed: int) -> Sequence[Conversation]:
    """Return n different conversations in the order in which to learn them.

    The first ninth of what is returned are short questions, which teach arithmetic and spelling at
    a lower cost (docs/measurements/chat.md). The others occur twice.
    """
    n_basics = n // 5
    basics = [*map(messages, conversations("basics", n_basics, seed))]
    others = map(messages, conversations("train", n - n_basics, seed))
    return basics + 2 * [*others]


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
    """Draw conversations until one fits into the context, with all messages and allowed words."""
    while True:
        draw.told.clear()
        made = (task(draw) for task in _conversation_tasks(draw))
        exchanges = [Exchange(draw.dress(e.prompt), e.reply, e.task, e.parts) for e in made]
        # Each message has a role and an end token, and the conversation BOS at both ends.
        n_tokens = 2 + sum(len(e.prompt) + len(e.reply) + 4 for e in exchanges)
        fits = n_tokens <= MAX_TOKENS and n_tokens - len(exchanges[-1].reply) - 2 <= MAX_PROMPT
        prompts = " ".join(exchange.prompt for exchange in exchanges)
        is_free = draw.split == "heldout" or _held_out().isdisjoint(re.findall("[a-z]+", prompts))
        if fits and is_free and all(exchange.prompt for exchange in exchanges):
            return exchanges


@cache
def _held_out() -> frozenset[str]:
    """Return the words that do not occur in training, not even through a typing error."""
    kinds = (tasks.names(), tasks.words("common"), tasks.words("colors"))
    return frozenset(word for kind in kinds for word in kind.held_out)


def _conversation_tasks(draw: Draw) -> list[Task]:
    if draw.split == "basics":
        return [draw.pick(_BASICS) for _ in range(draw.pick(range(1, MOST_BASICS + 1)))]
    return _memory_tasks(draw) if draw.chance(MEMORY) else _others(draw, draw.pick(LENGTHS))


def _memory_tasks(draw: Draw) -> list[Task]:
    """Return tasks that state one or two facts and ask for one, with other tasks around them."""
    first, second = draw.pick((("name", "color"), ("color", "name")))
    facts = [first, second] if draw.chance(BOTH) else [first]
    asked = draw.pick(facts)
    other = "color" if asked == "name" else "name"
    return [
        *_others(draw, draw.pick((0, 0, 0, 1))),
        *(partial(tasks.tell, what=fact) for fact in facts),
        *_others(draw, draw.pick((0, 1, 1, 2))),
        partial(tasks.memory, what=other if draw.chance(UNTOLD) else asked),
    ]


def _others(draw: Draw, n: int) -> list[Task]:
    """Return n tasks of a split; "heldout" excludes memorised facts, which have no fillers."""
    equal = (*_WITH_FILLERS, tasks.outside)
    with_facts = (*equal, *_MEMORISED)
    small_talk = (tasks.small_talk, tasks.small_talk, tasks.memory)
    single, parts = {
        "train": (_TRAINING_TASKS, (*_TRAINING_TASKS, *(tasks.tell,) * 8)),
        "heldout": (equal, (*equal, tasks.tell)),
        "wordings": ((*with_facts, *small_talk), with_facts),
    }[draw.split]
    two = partial(tasks.two_questions, tasks=parts)
    return [two if draw.chance(TWO) else draw.pick(single) for _ in range(n)]
