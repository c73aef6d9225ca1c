"""Score chat replies by exact match."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import sqrt

from microgpt.config import Sampling
from microgpt.data.chat_truncation import ChatPrompt
from microgpt.data.conversation_file import Item
from microgpt.errors import PromptError, TokenizerError
from microgpt.inference import InferenceGpt

Z_95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True)
class Answer:
    """A model's reply to a test item."""

    item: Item
    expected: str  # the expected reply as the tokenizer reads it, perhaps in lower case
    reply: str | None  # None if the question does not fit into the context
    is_cut: bool = False  # whether old messages were dropped to fit the context
    problem: str | None = None  # error message if there is no reply

    @property
    def is_exact(self) -> bool:
        """Whether the reply equals the expected reply."""
        return self.reply == self.expected


@dataclass(frozen=True)
class ExactMatches:
    """The number of exact answers, with their share and confidence interval."""

    n: int
    n_exact: int

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "ExactMatches":
        """Return the score of one or more answers."""
        return cls(len(answers), sum(answer.is_exact for answer in answers))

    @property
    def share(self) -> float:
        """The share of exact answers, from 0 to 1."""
        return self.n_exact / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson score interval of the share, which is also valid for small samples."""
        # Wilson 1927, Journal of the American Statistical Association 22, p. 209
        n, p, zz = self.n, self.share, Z_95**2
        middle = (p + zz / (2 * n)) / (1 + zz / n)
        half = Z_95 * sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n)
        # If the share is 0 or 1, rounding may put it outside the interval.
        return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))


def answer_all(model: InferenceGpt, items: Sequence[Item], *, threads: int = 1) -> Iterator[Answer]:
    """Yield a model's reply to each item (see `load_chat_tests`), in order, at temperature 0.

    The prompt is the conversation up to the item, including expected replies. Long prompts are
    truncated as in a chat. If the tokenizer folds text, the expected reply is folded as well. A
    reply is None and counts as wrong if the question exceeds the context.
    """
    prompts, tokenizer = [_prompt(model, item) for item in items], model.tokenizer
    found = (prompt for prompt in prompts if isinstance(prompt, ChatPrompt))
    jobs = (model.reply_job(prompt, sampling=Sampling(0)) for prompt in found)
    replies = model.decode(jobs, threads=threads)
    for item, prompt in zip(items, prompts, strict=True):
        expected = item.expected
        with suppress(TokenizerError):  # it has unknown characters
            expected = tokenizer.decode(tokenizer.encode(expected))
        if isinstance(prompt, PromptError):
            yield Answer(item, expected, None, problem=str(prompt))
            continue
        reply = tokenizer.decode(next(replies))
        yield Answer(item, expected, reply, is_cut=prompt.tokens_dropped > 0)


def _prompt(model: InferenceGpt, item: Item) -> ChatPrompt | PromptError:
    # A conversation may have thousands of messages; at most block_size messages fit.
    first = max(0, item.place - model.config.block_size)
    try:
        return model.chat_prompt(item.conversation[first : item.place])
    except PromptError as error:
        return error
