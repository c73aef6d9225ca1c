"""From scores to text: the choice of one token, and the loop that chooses one after another.

Scalar, on the shared forward pass; this module knows nothing of text or special tokens.
"""

import math
import random
from collections.abc import Collection, Generator, Sequence
from typing import Literal

from microgpt.errors import PromptError
from microgpt.model import Gpt, softmax

FinishReason = Literal["stop", "length"]


def sample(
    logits: Sequence[float], *, temperature: float, rng: random.Random, forbidden: Collection[int]
) -> int:
    """Draw the next token.

    Args:
        logits: a score for each token: (V).
        temperature: above 1 evens the probabilities out, below 1 sharpens them, 0 always takes the
            best token and draws nothing.
        rng: gives one uniform, used as `random.choices` does.
        forbidden: tokens that must not come.

    Raises:
        PromptError: no token remains; or a score is not a finite number, because the weights are
            too large to compute with.
    """
    if not all(map(math.isfinite, logits)):
        raise PromptError(
            "the model's scores are not finite numbers: its weights are too large; "
            "train it again with a lower learning rate"
        )
    allowed = [token for token in range(len(logits)) if token not in forbidden]
    if not allowed:
        raise PromptError("every token is forbidden")
    if temperature == 0:
        return max(allowed, key=logits.__getitem__)
    largest = max(logits[token] for token in allowed)
    # The difference is divided, not the logits: those overflow at a temperature close to 0.
    probs = softmax([(logits[token] - largest) / temperature for token in allowed])
    return rng.choices(allowed, weights=probs)[0]


def decode(
    gpt: Gpt[float],
    prompt: Sequence[int],
    *,
    stop: Collection[int],
    forbidden: Collection[int] = (),
    min_tokens: int = 0,
    max_tokens: int | None = None,
    temperature: float,
    rng: random.Random,
) -> Generator[int, None, FinishReason]:
    """Yield the tokens that follow a prompt, one at a time, and return why they end.

    Args:
        gpt: the model.
        prompt: 1 to block_size tokens.
        stop: the tokens that end the sequence; they are not yielded.
        forbidden: tokens that must not come.
        min_tokens: no stop token comes before this many tokens.
        max_tokens: the most tokens to yield; without it, until the context is full.
        temperature: see `sample`.
        rng: see `sample`.

    Returns:
        "stop" after a stop token, "length" when max_tokens or the context was reached.
    """
    cache = gpt.new_cache()
    for token in prompt[:-1]:
        gpt.forward(token, cache)
    token = prompt[-1]
    room = gpt.config.block_size - len(prompt) + 1  # the last token is never read again
    for n_tokens in range(room if max_tokens is None else min(room, max_tokens)):
        barred = {*forbidden, *stop} if n_tokens < min_tokens else forbidden
        logits = gpt.forward(token, cache)
        token = sample(logits, temperature=temperature, rng=rng, forbidden=barred)
        if token in stop:
            return "stop"
        yield token
    return "length"
