"""Arrays of a decoder.

Layout: rows, and a KV cache with keys in blocks of one vector of tokens, a row per feature, and
values with a row per token. See docs/performance.md#decoding.
Shapes: C = n_embd, V = vocab_size, L = n_layer, T = block_size, N = rows, n = sequences.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig
from microgpt.engine.processor import lanes_of
from microgpt.engine.weights import aligned_zeros, padded

# Status of a sequence. STOPPED: a stop token was sampled. FULL: the maximum length is reached.
# BROKEN: a logit is not finite. STUCK: all tokens are forbidden.
RUNNING, STOPPED, FULL, BROKEN, STUCK = range(5)
FREE, STOP, FORBIDDEN, NO_RULE = range(4)  # sampling rules; barred=NO_RULE excludes no tokens


class KVCache(NamedTuple):
    """What is kept of earlier tokens of several sequences, with one slot per sequence."""

    keys: NDArray[Any]  # (slots, L, n_head * token blocks * D, lanes)
    values: NDArray[Any]  # (slots, L, vectors per token * T, lanes)
    mlp_in: NDArray[Any]  # (slots, L, C // 2), of the last token only, for token shift


def allocate_cache(model: ModelConfig, dtype: str, n_slots: int) -> KVCache:
    """Return a zero-filled cache for n_slots concurrent sequences."""
    L, T, C, n = model.n_layer, model.block_size, model.n_embd, lanes_of(dtype)
    n_blocks = padded(T, dtype) // n
    return KVCache(
        keys=aligned_zeros((n_slots, L, n_blocks * C, n), dtype),
        values=aligned_zeros((n_slots, L, padded(C, dtype) // n * T, n), dtype),
        mlp_in=aligned_zeros((n_slots, L, C // 2), dtype),
    )


class Sequences(NamedTuple):
    """The state of all sequences of a decoder, indexed by sequence number."""

    tokens: NDArray[Any]  # (n, maximum length), prompt, new tokens and stop token, if any
    n_prompt: NDArray[Any]  # (n), number of prompt tokens
    n_tokens: NDArray[Any]  # (n), current number of tokens, without a stop token
    first: NDArray[Any]  # (n), start of the context; advances when the context is full
    n_read: NDArray[Any]  # (n), index of the next token to read into the cache
    goals: NDArray[Any]  # (n), number of tokens at which a sequence is FULL
    status: NDArray[Any]  # (n)
    uniforms: NDArray[Any]  # (n, maximum number of new tokens), random numbers in [0, 1)
    slots: NDArray[Any]  # (slots), sequence in each slot of the cache; -1 if the slot is empty
    n_started: NDArray[Any]  # (1), number of sequences started so far
    rules: NDArray[Any]  # (V), sampling rule of each token; see `sample`
    barred: int  # `barred` argument of `sample` after the first min_tokens new tokens
    min_tokens: int  # minimum number of new tokens before a stop token
    temperature: float  # see `config.Sampling`
    top_k: int  # 0 disables top-k filtering
    top_p: float
    min_p: float


class Rows(NamedTuple):
    """Activations of the tokens in a decoding step; rows are padded to whole vectors."""

    tokens: NDArray[Any]  # (N)
    previous: NDArray[Any]  # (N), previous token in the context, or -1
    positions: NDArray[Any]  # (N), position of each token in its context
    slots: NDArray[Any]  # (N), cache slot of each token
    sequences: NDArray[Any]  # (N), sequences for which a token is sampled in this step
    x: NDArray[Any]  # (N, C), residual stream
    normed: NDArray[Any]  # (N, C)
    qkv: NDArray[Any]  # (N, 3 C)
    attn_weights: NDArray[Any]  # (n_head, T)
    attn_out: NDArray[Any]  # (N, C)
    hidden: NDArray[Any]  # (N, n_ff_exp C)
    logits: NDArray[Any]  # (N, V)
    order: NDArray[Any]  # (V)
    sums: NDArray[Any]  # (1, V)


def allocate_rows(model: ModelConfig, dtype: str, N: int) -> Rows:
    """Return arrays for up to N tokens per decoding step."""
    C, V, T = model.n_embd, model.vocab_size, model.block_size

    def rows(n: int, length: int, room: int = 0) -> NDArray[Any]:
        return aligned_zeros((n, padded(length + room, dtype)), dtype)[:, :length]

    def whole(n: int) -> NDArray[Any]:
        return np.zeros(n, np.int64)

    return Rows(
        tokens=whole(N),
        previous=whole(N),
        positions=whole(N),
        slots=whole(N),
        sequences=whole(N),
        x=rows(N, C),
        normed=rows(N, C),
        qkv=rows(N, 3 * C, room=padded(C, dtype)),  # values are read as whole vectors
        attn_weights=rows(model.n_head, T),
        attn_out=rows(N, C),
        hidden=rows(N, model.n_ff_exp * C),
        logits=rows(N, V),
        order=whole(V),
        sums=rows(1, V),
    )


class DecodeArrays(NamedTuple):
    """Reusable arrays of a decoder; allocating them takes longer than decoding a short reply."""

    cache: KVCache
    rows: Rows
