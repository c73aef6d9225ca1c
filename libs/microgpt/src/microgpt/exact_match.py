"""Count the exact answers of a chat model to test questions."""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from microgpt.config import Sampling
from microgpt.data.context import ChatPrompt
from microgpt.data.conversation_file import Item
from microgpt.errors import PromptError, TokenizerError
from microgpt.inference import InferenceGpt

Z_95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True)
class Answer:
    """A model's reply to a test item."""

    item: Item
    expected: str  # the expected reply after encoding and decoding, which can fold its case
    reply: str | None  # None if the question does not fit into the context
    is_cut: bool = False  # whether old messages were dropped because the context is too small
    problem: str | None = None  # error message if there is no reply

    @property
    def is_exact(self) -> bool:
        """Whether the reply equals the expected reply or an alternative correct reply."""
        return self.reply == self.expected or self.reply in self.item.also


@dataclass(frozen=True)
class ExactMatches:
    """The number of exact answers, and their fraction with a confidence interval."""

    n: int
    n_exact: int

    @classmethod
    def from_answers(cls, answers: Sequence[Answer]) -> "ExactMatches":
        """Count the exact answers among one or more answers."""
        return cls(len(answers), sum(answer.is_exact for answer in answers))

    @property
    def share(self) -> float:
        """The fraction of exact answers, from 0 to 1."""
        return self.n_exact / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson score interval of the fraction, which is also valid for small samples."""
        # Wilson 1927, Journal of the American Statistical Association 22, p. 209
        n, p, zz = self.n, self.share, Z_95**2
        middle = (p + zz / (2 * n)) / (1 + zz / n)
        half = Z_95 * math.sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n)
        # If p is 0 or 1, rounding could put it outside the interval, so include it.
        return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))


def answer_all(model: InferenceGpt, items: Sequence[Item], *, threads: int = 1) -> Iterator[Answer]:
    """Yield a model's reply to each item (see `load_chat_tests`), in order, at temperature 0.

    The prompt is the conversation before the item, with its earlier replies from the test set. Long
    prompts are truncated as in a chat. If the tokenizer folds text, the expected reply is folded as
    well. A reply is None and counts as wrong if the question exceeds the context.
    """
    prompts: list[ChatPrompt | PromptError] = []
    for item in items:
        # Cut long conversations, because at most block_size messages fit into the context.
        first = max(0, item.place - model.config.block_size)
        try:
            prompts.append(model.chat_prompt(item.conversation[first : item.place]))
        except PromptError as error:
            prompts.append(error)
    found = (prompt for prompt in prompts if isinstance(prompt, ChatPrompt))
    jobs = (model.reply_job(prompt, sampling=Sampling(0)) for prompt in found)
    replies = model.decode(jobs, threads=threads)
    for item, prompt in zip(items, prompts, strict=True):
        expected = item.expected
        with suppress(TokenizerError):  # raised if the expected reply has unknown characters
            expected = model.tokenizer.decode(model.tokenizer.encode(expected))
        if isinstance(prompt, PromptError):
            yield Answer(item, expected, None, problem=str(prompt))
            continue
        reply = model.tokenizer.decode(next(replies))
        yield Answer(item, expected, reply, is_cut=prompt.tokens_dropped > 0)
