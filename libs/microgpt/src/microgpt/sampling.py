"""Sample tokens from logits, and decode sequences token by token in plain Python."""

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
    "the logits are not finite because the weights are too large; "
    "train the model again with a lower learning rate"
)
NO_TOKEN_LEFT_MESSAGE = "all tokens are excluded from sampling"


@dataclass(frozen=True)
class DecodeRules:
    """Sampling settings and stop conditions of a sequence."""

    stop: Collection[int] = ()  # stop tokens, which end the sequence and are not returned
    forbidden: Collection[int] = ()  # tokens that are never sampled
    min_tokens: int = 0  # minimum number of tokens before a stop token
    max_tokens: int | None = None  # maximum number of new tokens; None: until the context is full
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class Job:
    """Prompts, each continued once per seed. Continuations are ordered by prompt, then by seed."""

    prompts: Sequence[Sequence[int]]
    seeds: range
    rules: DecodeRules
    tokens_dropped: int = 0  # tokens dropped from the start of prompts that exceed the context
    fixed: "Continuation | None" = None  # if given, it replaces every continuation

    @property
    def n_sequences(self) -> int:
        """The number of continuations."""
        return len(self.prompts) * len(self.seeds)


class Continuation(NamedTuple):
    """The generated tokens of a sequence; finish_reason is None until the sequence ends."""

    tokens: list[int]
    finish_reason: FinishReason | None


def sample(
    logits: Sequence[float], *, sampling: Sampling, rng: random.Random, forbidden: Collection[int]
) -> int:
    """Sample a token from logits (V) by one random draw; temperature 0 selects the likeliest token.

    Raises:
        PromptError: all tokens are forbidden, or a logit is not finite.
    """
    if not all(map(math.isfinite, logits)):
        raise PromptError(NOT_FINITE_MESSAGE)
    allowed = [token for token in range(len(logits)) if token not in forbidden]
    if not allowed:
        raise PromptError(NO_TOKEN_LEFT_MESSAGE)
    if sampling.temperature == 0:
        return max(allowed, key=logits.__getitem__)
    largest = max(logits[token] for token in allowed)
    # Subtract the maximum before dividing: the logits could overflow at temperatures close to 0.
    scores = {token: (logits[token] - largest) / sampling.temperature for token in allowed}
    # Sort by logits rather than weights, which are all equal if the temperature is very high.
    by_logit = sorted(allowed, key=logits.__getitem__, reverse=True)  # ties stay in token order
    weights = {token: math.exp(score) for token, score in scores.items()}
    kept = _likeliest(by_logit, weights, sampling)
    probs = softmax([scores[token] for token in kept])
    return rng.choices(kept, weights=probs)[0]


def _likeliest(ordered: list[int], weights: dict[int, float], sampling: Sampling) -> list[int]:
    """Return the tokens that top_k, top_p and min_p keep; the largest weight must be 1."""
    kept = ordered[: sampling.top_k]
    if sampling.top_p < 1:
        mass = total(weights[token] for token in sorted(kept))
        sums = list(accumulate(weights[token] for token in kept))
        kept = kept[: 1 + bisect_left(sums, sampling.top_p * mass, hi=len(sums) - 1)]
    return sorted(token for token in kept if weights[token] >= sampling.min_p)


def n_kept(block_size: int) -> int:
    """Return the number of tokens that a new context keeps from a full one."""
    return min(block_size, 1 + block_size // 2)


def new_context(tokens: Sequence[int], block_size: int) -> list[int]:
    """Return the context that follows a full one: its first token, usually BOS, and its last half.

    With a block_size of 1, return only the last token.
    """
    kept = tokens[-n_kept(block_size) :]
    return [tokens[0] if block_size > 1 else kept[0], *kept[1:]]


def decode(
    gpt: Gpt[float], prompt: Sequence[int], rules: DecodeRules, rng: random.Random
) -> Generator[int, None, FinishReason]:
    """Yield the tokens after a prompt of 1 to block_size tokens; return the finish reason.

    When the context is full, a new one starts with the first token and last half of the old one.
    """
    block_size, cache, context, n_read = gpt.config.block_size, gpt.new_cache(), [*prompt], 0
    room = block_size - len(prompt) + 1  # + 1: the last generated token is not read
    for n_tokens in range(rules.max_tokens or room):
        if len(context) > block_size:
            context, cache, n_read = new_context(context, block_size), gpt.new_cache(), 0
        for token in context[n_read:]:
            logits = gpt.forward(token, cache)
        n_read = len(context)
        is_early = n_tokens < rules.min_tokens
        forbidden = {*rules.forbidden, *rules.stop} if is_early else rules.forbidden
        token = sample(logits, sampling=rules.sampling, rng=rng, forbidden=forbidden)
        if token in rules.stop:
            return "stop"
        yield token
        context.append(token)
    return "length"


class TokenStream(Iterator[int]):
    """Iterator over the tokens of one sequence, which are generated lazily."""

    def __init__(self, steps: Generator[int, None, FinishReason]) -> None:
        # The finish reason: "stop" for a stop token, else "length"; None until the sequence ends.
        self.finish_reason: FinishReason | None = None
        self._steps = steps

    def __next__(self) -> int:
        try:
            return next(self._steps)
        except StopIteration as end:
            self.finish_reason = self.finish_reason or end.value
            raise

    def close(self) -> None:
        """End the sequence early."""
        self._steps.close()
