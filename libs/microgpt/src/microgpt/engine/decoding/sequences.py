"""Sequences of tokens in the making: what `decode` continues.

Shapes: V = vocab_size, n = sequences.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig
from microgpt.engine.decoding.sample import FORBIDDEN, NONE_SUCH, STOP
from microgpt.sampling import DecodeRules

# How a sequence stands: it goes on; a STOP came; it has as many tokens as it should; its scores are
# not finite; no token is allowed.
RUNNING, STOPPED, FULL, BROKEN, STUCK = range(5)


class Sequences(NamedTuple):
    """Sequences; what is said of one stands at its number in each array."""

    tokens: NDArray[Any]  # (n, most tokens), the prompt, what follows, and the STOP if one came
    n_prompt: NDArray[Any]  # (n), the tokens of the prompt
    n_tokens: NDArray[Any]  # (n), the tokens so far
    n_read: NDArray[Any]  # (n), those that are in the cache
    goals: NDArray[Any]  # (n), the tokens at which it is FULL
    status: NDArray[Any]  # (n)
    uniforms: NDArray[Any]  # (n, most new tokens), one for each
    slots: NDArray[Any]  # (slots), the sequence that each slot of the cache has, or -1
    begun: NDArray[Any]  # (1), the sequences that have had a slot
    rules: NDArray[Any]  # (V), see `sample`
    barred: int  # see there, after the first min_tokens
    min_tokens: int  # no STOP comes before so many new tokens
    temperature: float  # see `Sampling`
    top_k: int  # see there; 0 keeps all
    top_p: float  # see there
    min_p: float  # see there


def new_sequences(
    model: ModelConfig,
    dtype: str,
    prompts: Sequence[Sequence[int]],
    decode_rules: DecodeRules,
    n_slots: int,
) -> Sequences:
    """Return sequences that begin with the prompts; uniforms are to come."""
    sampling, max_tokens = decode_rules.sampling, decode_rules.max_tokens
    n, longest = len(prompts), max(map(len, prompts))
    room = model.block_size - min(map(len, prompts)) + 1
    most_new = room if max_tokens is None else min(room, max_tokens)
    lengths = np.array([len(prompt) for prompt in prompts])
    tokens = np.zeros((n, longest + most_new), np.int64)
    if min(lengths) == longest:
        tokens[:, :longest] = prompts
    else:
        for row, prompt in zip(tokens, prompts, strict=True):
            row[: len(prompt)] = prompt
    rules = np.zeros(model.vocab_size, np.int64)
    for rule, which in ((STOP, decode_rules.stop), (FORBIDDEN, decode_rules.forbidden)):
        rules[[token for token in which if token in range(rules.size)]] = rule
    limits = np.finfo(dtype)
    temperature = float(sampling.temperature)
    if temperature:  # what is 0 or infinite as a number of this kind would give nan
        temperature = max(temperature, float(limits.smallest_subnormal))
        temperature = min(temperature, float(limits.max))
    return Sequences(
        tokens=tokens,
        n_prompt=lengths,
        n_tokens=lengths.copy(),
        n_read=np.zeros(n, np.int64),
        goals=np.minimum(lengths + most_new, model.block_size + 1),
        status=np.full(n, RUNNING),
        uniforms=np.zeros((n, most_new)),
        slots=np.full(n_slots, -1),
        begun=np.zeros(1, np.int64),
        rules=rules,
        barred=FORBIDDEN if FORBIDDEN in rules else NONE_SUCH,
        min_tokens=min(decode_rules.min_tokens, model.block_size + 1),
        temperature=temperature,
        top_k=sampling.top_k or 0,
        top_p=float(sampling.top_p),
        min_p=float(sampling.min_p),
    )
