"""Exact match: how many replies of a chat model are the right one, to the letter."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from microgpt.config import Sampling
from microgpt.data.chat_truncation import ChatPrompt
from microgpt.data.conversation_file import Item
from microgpt.errors import PromptError
from microgpt.inference import InferenceGpt

Z_95 = 1.959964  # within so many standard deviations, to both sides, lie 95 % of a bell curve


@dataclass(frozen=True)
class Answer:
    """The reply of a model to an item."""

    item: Item
    reply: str | None  # None if the question does not fit into the context
    n_tokens: int = 0  # of the reply, its end included
    is_cut: bool = False  # whether old turns of the conversation had no room
    problem: str | None = None  # why there is no reply

    @property
    def is_exact(self) -> bool:
        """Whether it is the right reply, to the letter."""
        return self.reply == self.item.expected


@dataclass(frozen=True)
class Score:
    """How many of some answers are exact.

    Example:
        >>> score = Score(n=50, n_exact=48)
        >>> f"{score.share:.2f} in [{score.interval[0]:.3f}, {score.interval[1]:.3f}]"
        '0.96 in [0.865, 0.989]'
    """

    n: int
    n_exact: int

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "Score":
        """Count the exact ones of at least one answer."""
        return cls(len(answers), sum(answer.is_exact for answer in answers))

    @property
    def share(self) -> float:
        """The exact ones, from 0 to 1."""
        return self.n_exact / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the share, good for few items and shares of 0 and 1."""
        # Wilson 1927, Journal of the American Statistical Association 22, p. 209
        n, p, zz = self.n, self.share, Z_95**2
        middle = (p + zz / (2 * n)) / (1 + zz / n)
        half = Z_95 * sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n)
        # As computed, the bounds may miss the share by a rounding error where it is 0 or 1.
        return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))


@dataclass(frozen=True)
class WrongReply:
    """A reply that a model gives where it is wrong, such as "i don't know"."""

    reply: str  # what it says
    n: int  # how often it is wrong
    n_items: int  # the items where it would be


def answer_all(model: InferenceGpt, items: Sequence[Item], *, threads: int = 1) -> Iterator[Answer]:
    """Yield the reply of a model to each item (see `load_chat_tests`), in order, at temperature 0.

    What comes before is the conversation as the file has it, right replies included, fitted into
    the context as for any chat. A question that does not fit has no reply, which counts as wrong.
    """
    found = [_prompt(model, item) for item in items]
    prompts = [prompt for prompt in found if isinstance(prompt, ChatPrompt)]
    coming = model.replies(prompts, sampling=Sampling(temperature=0), threads=threads)
    for item, prompt in zip(items, found, strict=True):
        if isinstance(prompt, PromptError):
            yield Answer(item, None, problem=str(prompt))
            continue
        tokens = next(coming)
        room = model.config.block_size - len(prompt.tokens) + 1  # the last token is never read
        text, is_cut = model.tokenizer.decode(tokens), prompt.tokens_dropped > 0
        yield Answer(item, text, min(len(tokens) + 1, room), is_cut)


def by_task(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    """Return the answers of each task, in alphabetical order of the tasks."""
    tasks: dict[str, list[Answer]] = {}
    for answer in answers:
        tasks.setdefault(answer.item.task, []).append(answer)
    return dict(sorted(tasks.items()))


def wrong_replies(answers: Sequence[Answer]) -> list[WrongReply]:
    """Return what was said more than once where it is wrong, the most frequent first."""
    said = Counter(one.reply for one in answers if one.reply is not None and not one.is_exact)
    right = Counter(one.item.expected for one in answers)
    return [
        WrongReply(reply, n, len(answers) - right[reply])
        for reply, n in sorted(said.items(), key=lambda pair: (-pair[1], pair[0]))
        if n > 1
    ]


def _prompt(model: InferenceGpt, item: Item) -> ChatPrompt | PromptError:
    # More turns than the context has tokens never fit, and a conversation may have thousands.
    first = max(0, item.place - model.config.block_size)
    try:
        return model.chat_prompt(item.conversation[first : item.place])
    except PromptError as error:
        return error
