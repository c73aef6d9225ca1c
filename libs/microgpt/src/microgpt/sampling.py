"""Sampling on scalars: draw one token from the logits, and decode a sequence token by token."""

import math
import random
from bisect import bisect_left
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, NamedTuple

from microgpt.config import Sampling
from microgpt.errors import PromptError
from microgpt.model import Gpt, softmax
from microgpt.value import total

FinishReason = Literal["stop", "length"]

NOT_FINITE_MESSAGE = (
    "the model's scores are not finite numbers: its weights are too large; "
    "train it again with a lower learning rate"
)
NO_TOKEN_LEFT_MESSAGE = "every token is forbidden"


@dataclass(frozen=True)
class DecodeRules:
    """How a sequence is continued, and when it ends."""

    stop: Collection[int] = ()  # tokens that end the sequence; they are not returned
    forbidden: Collection[int] = ()  # tokens that must not come
    min_tokens: int = 0  # no stop token comes before this many tokens
    max_tokens: int | None = None  # without it, until the context is full
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class Job:
    """Prompts, each of which is continued once per seed: first all of the first prompt."""

    prompts: Sequence[Sequence[int]]
    seeds: range
    rules: DecodeRules

    @property
    def n_sequences(self) -> int:
        """The number of continuations."""
        return len(self.prompts) * len(self.seeds)


class Continuation(NamedTuple):
    """What follows a prompt; finish_reason is None while more is to come."""

    tokens: list[int]
    finish_reason: FinishReason | None
    stop_token: int | None = None


def sample(
    logits: Sequence[float], *, sampling: Sampling, rng: random.Random, forbidden: Collection[int]
) -> int:
    """Return the next token, drawn from logits (V) by one uniform, or none at temperature 0.

    Raises:
        PromptError: all tokens are forbidden, or a logit is not finite: the weights are too large.
    """
    if not all(map(math.isfinite, logits)):
        raise PromptError(NOT_FINITE_MESSAGE)
    allowed = [token for token in range(len(logits)) if token not in forbidden]
    if not allowed:
        raise PromptError(NO_TOKEN_LEFT_MESSAGE)
    if sampling.temperature == 0:
        return max(allowed, key=logits.__getitem__)
    largest = max(logits[token] for token in allowed)
    # The difference is divided, not the logits: those overflow at a temperature close to 0.
    scores = {token: (logits[token] - largest) / sampling.temperature for token in allowed}
    kept = _likeliest({token: math.exp(score) for token, score in scores.items()}, sampling)
    probs = softmax([scores[token] for token in kept])
    return rng.choices(kept, weights=probs)[0]


def _likeliest(weights: dict[int, float], sampling: Sampling) -> list[int]:
    """Return the tokens that top_k, top_p and min_p keep, in order; the largest weight is 1."""
    by_weight = sorted(weights, key=weights.__getitem__, reverse=True)  # of equal ones, the first
    kept = by_weight[: sampling.top_k]
    if sampling.top_p < 1:
        mass = total(weights[token] for token in sorted(kept))
        sums = list(accumulate(weights[token] for token in kept))
        kept = kept[: 1 + bisect_left(sums, sampling.top_p * mass, hi=len(sums) - 1)]
    return sorted(token for token in kept if weights[token] >= sampling.min_p)


def decode(
    gpt: Gpt[float], prompt: Sequence[int], rules: DecodeRules, rng: random.Random
) -> Generator[int, None, FinishReason]:
    """Yield the tokens that follow a prompt of 1 to block_size tokens, and return why they end."""
    cache = gpt.new_cache()
    for token in prompt[:-1]:
        gpt.forward(token, cache)
    token = prompt[-1]
    room = gpt.config.block_size - len(prompt) + 1  # the last token is never read again
    for n_tokens in range(room if rules.max_tokens is None else min(room, rules.max_tokens)):
        is_early = n_tokens < rules.min_tokens
        forbidden = {*rules.forbidden, *rules.stop} if is_early else rules.forbidden
        logits = gpt.forward(token, cache)
        token = sample(logits, sampling=rules.sampling, rng=rng, forbidden=forbidden)
        if token in rules.stop:
            return "stop"
        yield token
    return "length"


class TokenStream(Iterator[int]):
    """The tokens of one sequence, each computed when it is asked for."""

    def __init__(self, steps: Generator[int, None, FinishReason]) -> None:
        # None until the end; "length" if the context or max_tokens was reached.
        self.finish_reason: FinishReason | None = None
        self._steps = steps

    def __next__(self) -> int:
        try:
            return next(self._steps)
        except StopIteration as end:
            self.finish_reason = self.finish_reason or end.value
            raise

    def close(self) -> None:
        """End the sequence here."""
        self._steps.close()
